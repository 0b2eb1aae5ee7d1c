import type { RequestListener } from 'node:http'
import { createClient } from 'unbusy'
import { serve } from 'unbusy/gateway'
import { statusHandler, type StatusSource } from 'unbusy/status'
import { fakeTarget } from 'unbusy/testing'
import { expect, onTestFinished, test } from 'vitest'
import { httpServer } from '../helpers/http-servers.ts'
import { watch } from '../../src/cli/watch.ts'
import { endOfCli, runCli, startCli } from '../helpers/run-cli.ts'
import { screen, world } from '../helpers/screen.ts'

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
  // a timer of a month is none, and would ask without a pause
  for (const every of ['Infinity', '2147484'])
    expect(await runCli(['watch', 'http://127.0.0.1:1', '--every', every])).toMatchObject({ code: 2 })
})

/** The status of a client, changed as another version or another program may write it. */
const changed = (more: object) => JSON.stringify({ ...createClient({ chain: [fakeTarget('Hi.')] }).status(), ...more })

test.for([
  ['a page of a login', 401, '<!doctype html> SECRET', 'returns 401: it asks for a key. Set UNBUSY_KEY.'],
  ['a page', 200, '<!doctype html> SECRET', 'returns 200 without a status of unbusy'],
  ['the error of a proxy', 502, 'bad gateway', 'returns 502 without a status of unbusy'],
  ['nothing', 200, '', 'returns 200 without a status of unbusy'],
  ['no clients', 200, '{"clients":null}', 'returns 200 without a status of unbusy'],
  ['a half of it', 200, changed({ recent: null }), 'serves a status that this version of unbusy cannot read'],
  ['a state of a later version', 200, changed({ targets: [{ state: 'asleep', recent: {}, lastFailures: [] }] }), 'cannot read'],
] as const)('%s in place of a status is told without its text, and does not end the watch', async ([, code, body, words]) => {
  const url = await served((_, response) => response.writeHead(code).end(body))
  const once = await runCli(['watch', url, '--once'])
  expect(once).toMatchObject({ code: 1, stderr: '', stdout: expect.stringContaining(words) })
  expect(once.stdout).not.toMatch(/SECRET|does not answer/)
  const end = await seenTwice(url)
  expect(end).toMatchObject({ code: 130, stdout: expect.stringContaining(`${once.stdout}${once.stdout}`) })
})

/** Watches until the service was asked a third time. */
async function seenTwice(url: string) {
  const child = startCli(['watch', url, '--every', '0.1'])
  let said = ''
  child.stdout.on('data', chunk => {
    said += String(chunk)
    if (said.split('\n').length > 2) child.kill('SIGINT')
  })
  return endOfCli(child)
}

test('the status of a gateway that has keys is shown with the key of the environment, which is never printed', async () => {
  const key = 'key-SECRET-0123456789'
  const gateway = await serve({ routes: { chat: { chain: [fakeTarget('Hi.')] } }, keys: [key], port: 0 })
  onTestFinished(async () => gateway.close())
  const look = async (given: string) => runCli(['watch', `${gateway.url}/status`, '--once'], { UNBUSY_KEY: given })
  expect(await look('')).toMatchObject({ code: 1, stdout: expect.stringContaining('returns 401: it asks for a key') })
  expect(await look(`${key}x`)).toMatchObject({ code: 1, stdout: expect.stringContaining('it refuses the key of UNBUSY_KEY') })
  expect(await look(key)).toMatchObject({ code: 0, stdout: expect.stringContaining('1. fake fake-1') })
  const broken = await look(`${key}\nx`)
  expect(broken).toMatchObject({ code: 2, stderr: expect.stringContaining('UNBUSY_KEY must be a key') })
  for (const { stdout, stderr } of [await look(`${key}x`), broken]) expect(stdout + stderr).not.toContain('SECRET')
})

test('an endless body is left, not collected', async () => {
  const left = Promise.withResolvers<void>()
  const url = await served((_, response) => {
    const more = () => {
      while (!response.destroyed && response.write('['.repeat(2 ** 16))) continue
    }
    response.on('drain', more).on('close', left.resolve)
    more()
  })
  expect((await runCli(['watch', url, '--once'])).stdout).toContain('returns 200 without a status of unbusy')
  await left.promise
})

test('a text where a number should be, a name that turns the direction of writing: nothing reaches the terminal as a command', async () => {
  const [target] = createClient({ chain: [fakeTarget('Hi.', { name: 'a\u202eb' })] }).status().targets
  const recent = { steps: [], answered: '\u001b[2J', fallback: 0, degraded: 0, failed: 0, aborted: 0 }
  const url = await served((_, response) =>
    response.end(changed({ at: '2026-12-01T\u001b[2J\u001b[2J', recent, targets: [target] })),
  )
  const { code, stdout } = await runCli(['watch', url, '--once'])
  expect(code).toBe(0)
  for (const command of ['\u001b', '\u202e']) expect(stdout).not.toContain(command)
  expect(stdout).toContain('1. ab')
})

test('columns stand below each other in every language; a narrow terminal has two lines for each target', async () => {
  const names = ['深度求索', 'plain', '👩‍👩‍👧 own', '深度求索的第一个服务器，在北京的机房里']
  const client = createClient({ chain: names.map(name => ({ ...fakeTarget('Hi.'), name })) })
  const url = await status(client)
  const shown = async (columns: number) => {
    const stdout = screen({ isTTY: true, columns }, { NO_COLOR: '1' })
    await watch.run([url, '--once'], { ...world(), stdout })
    return stdout.text().split('\n')
  }
  const wide = await shown(200)
  const place = (line: string) => [...new Intl.Segmenter().segment(line.slice(0, line.indexOf('✔')))]
  const widths = wide.filter(line => line.includes('✔ is up')).map(line => place(line).map(({ segment }) => segment))
  expect(
    widths.map(those => those.reduce((sum, one) => sum + (/[\u3000-\u9fff\uff00-\uff60]|👩/u.test(one) ? 2 : 1), 0)),
  ).toEqual([...[32, 32, 32, 32]])
  const narrow = await shown(80)
  expect(narrow).toContain('  2. plain fake-1: ✔ is up')
  expect(narrow.filter(line => line === '     answers 0, failures 0, first content unknown, in flight 0, cost $0')).toHaveLength(
    4,
  )
  expect(Math.max(...narrow.filter(line => !line.includes('5 minutes')).map(line => line.length))).toBeLessThan(80)
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

test('on a low screen the verdict stays at the top: what does not fit is left out', async () => {
  const names = Array.from({ length: 30 }, (_, index) => `t${index}`)
  const url = await status(createClient({ chain: names.map(name => ({ ...fakeTarget('Hi.'), name })) }))
  const ending = new AbortController()
  const stdout = screen({ isTTY: true, columns: 80, rows: 12 }, { NO_COLOR: '1' })
  const watching = watch.run([url], { ...world(), stdout, signal: ending.signal })
  while (!stdout.text().includes('t1')) await new Promise(resolve => void setTimeout(resolve, 5))
  ending.abort(new Error('enough'))
  await expect(watching).rejects.toThrow('enough')
  const lines = (stdout.text().split('\u001b[J').at(-1) ?? '').trimEnd().split('\n')
  expect(lines[1]).toContain('○ No calls in the last minute')
  expect(lines.length).toBeLessThanOrEqual(11)
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
