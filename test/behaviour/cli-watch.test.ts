import type { RequestListener } from 'node:http'
import { createClient } from 'unbusy'
import { statusHandler, type StatusSource } from 'unbusy/status'
import { fakeTarget } from 'unbusy/testing'
import { expect, onTestFinished, test } from 'vitest'
import { httpServer } from '../helpers/http-servers.ts'
import { endOfCli, runCli, startCli } from '../helpers/run-cli.ts'

const served = async (listener: RequestListener): Promise<string> => `${(await httpServer(listener)).origin}/status`

const status = async (source: StatusSource) => served(statusHandler(source))

test('one look: the verdict, the targets, the failures by kind', async () => {
  const chain = [fakeTarget({ error: 'quota' }, { name: 'first' }), { ...fakeTarget('Hi.'), name: 'spare \x1b[31m' }]
  const client = createClient({ chain })
  await client.generate('Hi')
  await client.generate('Hi')
  const { code, stdout, stderr } = await runCli(['watch', await status(client), '--once'])
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toContain('▲ The first target is down, others answer')
  expect(stdout).toContain('5 minutes: 2 answered, 2 of them by another target, 0 by default, 0 failed, 0 aborted')
  expect(stdout).toMatch(/1\. first fake-1 +■ must wait quota/)
  expect(stdout).toMatch(/2\. spare .* +✔ is up +2 100 %/)
  expect(stdout).toContain('1 x quota')
  expect(stdout).not.toContain('\x1b')
})

test('servers that are kept warm have a line with their pings, and what they report has one', async () => {
  const warm = { ...fakeTarget(['Hi.', { error: 'quota' }], { name: 'warm' }), keepWarm: { prompt: 'You are kind.' } }
  const client = createClient({ chain: [warm, fakeTarget('Hi.', { name: 'cold' })] })
  onTestFinished(async () => client.close())
  const look = async (url: string) => (await runCli(['watch', url, '--once'])).stdout
  expect(await look(await status(client))).toContain('warm is kept warm: no ping yet')
  await client.warmUp()
  await client.warmUp()
  const seen = await look(await status(client))
  expect(seen).toMatch(/warm is kept warm: 2 pings, 1 failed, the last [\d.]+ m?s ago: failed: quota/)
  expect(seen).not.toContain('cold is kept')
  const [first, ...others] = client.status().targets
  const server = { running: 3, waiting: 2, kvUsage: 0.5 }
  const loaded = { ...client.status(), targets: [{ ...first, server }, ...others] }
  const reported = await served((_, response) => void response.end(JSON.stringify(loaded)))
  expect(await look(reported)).toContain('warm: the server has 3 running and 2 waiting, cache 50 %')
})

test('it looks again, says when nobody answers, and ends by Ctrl-C', async () => {
  const clients = { chat: createClient({ chain: [fakeTarget('Hi.')] }), search: createClient({ chain: [fakeTarget('Hi.')] }) }
  let looks = 0
  const handler = statusHandler(clients)
  const url = await served((request, response) => {
    looks += 1
    if (looks === 2) response.destroy()
    else handler(request, response)
  })
  const child = startCli(['watch', url, '--every', '0.1'])
  const end = endOfCli(child)
  while (looks < 4) await new Promise(resolve => void setTimeout(resolve, 10))
  child.kill('SIGINT')
  const { code, stdout } = await end
  expect(code).toBe(130)
  expect(stdout).toContain('chat: No calls in the last minute')
  expect(stdout).toContain('search: No calls in the last minute')
  expect(stdout).toContain('does not answer')
})

test('what is no status is told, by exit code too', async () => {
  const url = await served((_, response) => void response.end('{"hello":1}'))
  expect(await runCli(['watch', url, '--once'])).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('without a status of unbusy'),
  })
  expect(await runCli(['watch', 'http://127.0.0.1:1/', '--once'])).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('does not answer'),
  })
  for (const words of [[], ['not-a-url'], ['http://a', 'http://b'], ['http://a', '--every', 'x']])
    expect(await runCli(['watch', ...words])).toMatchObject({ code: 2 })
})

test('a key in the address is never printed', async () => {
  const inQuery = await runCli(['watch', 'http://127.0.0.1:1/status?key=SECRET', '--once'])
  expect(inQuery).toMatchObject({ code: 1, stdout: expect.stringContaining('http://127.0.0.1:1/status does not answer') })
  const asPassword = await runCli(['watch', 'http://me:SECRET@127.0.0.1:1/status', '--once'])
  expect(asPassword).toMatchObject({ code: 2, stderr: expect.stringContaining('must not contain a user or a password') })
  const withScheme = await runCli(['watch', 'ws://127.0.0.1:1/?key=SECRET'])
  expect(withScheme).toMatchObject({ code: 2, stderr: expect.stringContaining('must begin with http') })
  for (const end of [inQuery, asPassword, withScheme]) expect(end.stdout + end.stderr).not.toContain('SECRET')
})

test('the demo serves its status page with --watch until it is ended', async () => {
  const child = startCli(['demo', '--watch'])
  const end = endOfCli(child)
  let said = ''
  child.stdout.on('data', chunk => (said += String(chunk)))
  while (!/status page: \S+/.test(said)) await new Promise(resolve => void setTimeout(resolve, 20))
  const [, url = ''] = /status page: (\S+)/.exec(said) ?? []
  const page = await fetch(url, { headers: { accept: 'text/html' } })
  expect(await page.text()).toContain('1. deepseek')
  while (!said.includes('answered by llama')) await new Promise(resolve => void setTimeout(resolve, 50))
  const { recent } = (await (await fetch(url)).json()) as { readonly recent: { readonly answered: number } }
  expect(recent.answered).toBeGreaterThan(20)
  child.kill('SIGINT')
  expect((await end).code).toBe(130)
})
