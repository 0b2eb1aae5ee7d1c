import { once } from 'node:events'
import { expect, test } from 'vitest'
import { answer, startServer } from 'unbusy/testing'
import { endOfCli, runCli, startCli } from '../helpers/run-cli.ts'

test('the demo tells the story of a call and a stream in plain lines, and exits with 0', async () => {
  const end = await runCli(['demo'])
  expect(end).toMatchObject({ code: 0, stderr: '' })
  const [, first = '', second = '', third = ''] = end.stdout.split(/^\d+ (?=client|20)/m)
  expect(first.replace(/\s+/g, ' ')).toMatch(
    /deepseek .*░.* queued, then overloaded .* before deepseek is asked again .*503 overloaded .*429 rate-limit .*answered .*Sunlight/,
  )
  expect(first).toMatch(/3 failed requests took [\d,]+ ms/)
  expect(second).toMatch(/503 overloaded[^]*not asked \(rate-limit[^]*first token[^]*Sunlight/)
  expect(third).toContain('20 of 20 answered by llama')
  expect(third).toContain('openai   was asked 0 times')
  expect(end.stdout).not.toContain('\x1b')
})

test('the demo takes a real llama server for the last one when it is told where', async () => {
  await using server = await startServer(answer('From your own server.'), { format: 'llama' })
  const end = await runCli(['demo'], { UNBUSY_LLAMA_URL: server.baseURL })
  expect(end.code).toBe(0)
  expect(end.stdout).toContain(`${server.baseURL}  is a real server`)
  expect(end.stdout).toContain('From your own server.')
})

test('Ctrl-C ends the demo with 130', async () => {
  const child = startCli(['demo'])
  await once(child.stdout, 'data')
  child.kill('SIGINT')
  expect(await endOfCli(child)).toMatchObject({ code: 130, stderr: 'Stopped by Ctrl-C.\n' })
})
