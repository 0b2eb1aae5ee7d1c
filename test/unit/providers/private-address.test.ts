import { expect, test } from 'vitest'
import { openaiCompatible } from '../../../src/providers/openai-compatible.ts'
import { isPrivateAddress } from '../../../src/providers/private-address.ts'

test.each([
  'http://127.0.0.1:8000/v1',
  'http://127.9.9.9',
  'http://10.0.0.7:8080',
  'http://192.168.1.2',
  'http://172.16.0.1',
  'http://172.31.255.1',
  'http://169.254.1.1',
  'http://100.64.0.1',
  'http://100.127.0.1',
  'http://0.0.0.0:8000/v1',
  'http://[::1]:8000',
  'http://[::]:8000',
  'http://[fd12:3456::1]',
  'http://[fe80::1]',
  'http://[::ffff:127.0.0.1]',
  'http://[::ffff:10.1.2.3]',
  'http://localhost:1234',
  'http://LOCALHOST',
  'http://mac.local',
  'http://r1.internal:8000',
  'http://nas.lan',
  'http://box.home.arpa',
  'http://vllm:8000/v1',
])('F67: %s has the clocks of a local server', baseURL => {
  expect(isPrivateAddress(baseURL)).toBe(true)
  expect(openaiCompatible('m', { baseURL }).provider.timeout).toMatchObject({ firstChunkMs: 120_000 })
})

test.each([
  'https://api.example.com',
  'http://8.8.8.8',
  'http://0.0.0.1',
  'http://172.15.0.1',
  'http://172.32.0.1',
  'http://100.63.0.1',
  'http://100.128.0.1',
  'http://192.169.0.1',
  'http://10.example.com',
  'http://127.0.0.1.example.com',
  'http://localhost.example.com',
  'http://internal.example.com',
  'http://[2001:db8::1]',
  'http://[::ffff:8.8.8.8]',
])('F67: %s has those of a service', baseURL => {
  expect(isPrivateAddress(baseURL)).toBe(false)
  expect(openaiCompatible('m', { baseURL }).provider.timeout?.firstChunkMs).toBeUndefined()
})
