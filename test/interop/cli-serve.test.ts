import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answer, hold, json } from 'unbusy/testing'
import { describe, expect } from 'vitest'
import { freePort } from '../helpers/free-port.ts'
import { endOfCli, nobody, runCli, startCli } from '../helpers/run-cli.ts'
import { test as base } from '../helpers/vitest.ts'

const repository = join(import.meta.dirname, '../..')
const main = join(repository, 'src/cli/main.ts')

type Running = {
  readonly url: string
  readonly lines: { readonly [field: string]: unknown }[]
  signal(name: NodeJS.Signals): void
  readonly ended: Promise<number | null>
  until(message: string): Promise<void>
}

const test = base
  .extend('folder', async ({ onTestFinished }) => {
    const folder = await mkdtemp(join(tmpdir(), 'unbusy-serve-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    // as where unbusy is installed
    await mkdir(join(folder, 'node_modules'))
    await symlink(repository, join(folder, 'node_modules/unbusy'))
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    return folder
  })
  .extend(
    'start',
    ({ folder, onTestFinished }) =>
      async (words: readonly string[], environment: object = {}): Promise<Running> => {
        const env = { PATH: '/nowhere', ...nobody, ...environment }
        const child = spawn(process.execPath, ['--conditions=unbusy-source', main, 'serve', '--port', '0', ...words], {
          cwd: folder,
          env,
        })
        onTestFinished(() => void child.kill('SIGKILL'))
        const lines: Running['lines'] = []
        let [rest, said] = ['', '']
        child.stdout.on('data', bytes => {
          const parts = (rest + String(bytes)).split('\n')
          rest = parts.pop() ?? ''
          for (const part of parts) lines.push(JSON.parse(part) as Running['lines'][number])
        })
        child.stderr.on('data', bytes => (said += String(bytes)))
        const ended = once(child, 'exit').then(([code]) => code as number | null)
        const until = (message: string) =>
          expect.poll(() => (lines.some(({ msg }) => msg === message) ? message : said), { timeout: 20_000 }).toBe(message)
        await until('listening')
        const url = String(lines.find(({ msg }) => msg === 'listening')?.['url'])
        return { url, lines, signal: name => void child.kill(name), ended, until }
      },
  )

const body = { model: 'chat', messages: [{ role: 'user', content: 'Hi' }] }
const post = (url: string, fields: object = body, headers: Record<string, string> = {}) =>
  fetch(`${url}/chat/completions`, { method: 'POST', body: JSON.stringify(fields), headers })

const configOf = (baseURL: string, more = '') => `
  import { openaiCompatible } from 'unbusy'
  const chat: object = { chain: [openaiCompatible('m', { baseURL: '${baseURL}', apiKey: 'k' })] }
  export default { routes: { chat }, keys: ['the-key'], ${more} }
`
const key = { authorization: 'Bearer the-key' }

describe('npx unbusy serve', () => {
  test('serves unbusy.config.ts, logs a line for each request, and ends with 0 on SIGTERM when its streams have ended', async ({
    folder,
    start,
    server,
  }) => {
    const upstream = await server(answer(['One ', 'two.'], { chunkEveryMs: 300 }), { format: 'openai' })
    await writeFile(join(folder, 'unbusy.config.ts'), configOf(upstream.baseURL))
    const running = await start([])
    expect((await post(running.url)).status).toBe(401)
    const stream = await post(running.url, { ...body, stream: true }, key)
    running.signal('SIGTERM')
    expect(await stream.text()).toContain('[DONE]')
    expect(await running.ended).toBe(0)
    const requests = running.lines.filter(({ msg }) => msg === 'request')
    expect(requests).toMatchObject([{ status: 401 }, { status: 200, outcome: 'answered', route: 'chat', model: 'm' }])
    expect(JSON.stringify(running.lines)).not.toContain('the-key')
  })

  test('a second signal ends it at once', async ({ folder, start, server }) => {
    const upstream = await server(answer(['One', 'two'], { stallAfterChunks: 1 }), { format: 'openai' })
    await writeFile(join(folder, 'unbusy.config.ts'), configOf(upstream.baseURL))
    const running = await start([])
    const stream = await post(running.url, { ...body, stream: true }, key)
    stream.text().catch(() => {})
    running.signal('SIGTERM')
    await running.until('draining')
    running.signal('SIGTERM')
    expect(await running.ended).toBe(143)
  })

  test('what the config keeps open, such as a connection to Redis, does not keep the process', async ({ folder, start }) => {
    await writeFile(join(folder, 'unbusy.config.ts'), `${configOf('http://127.0.0.1:1/v1')}\nsetInterval(() => {}, 1_000)`)
    const running = await start([])
    running.signal('SIGTERM')
    await running.until('stopped')
    expect(await running.ended).toBe(0)
    await writeFile(join(folder, 'c.mjs'), 'setInterval(() => {}, 1_000)\nexport default { routes: 7 }')
    expect((await runCli(['serve', '--config', join(folder, 'c.mjs')])).code).toBe(2)
  })

  test('a signal is heard while the config waits for a store that never answers', async ({ folder, server }) => {
    const gate = hold()
    const store = await server({ ...json({}), headersUntil: gate.released })
    await writeFile(join(folder, 'c.mjs'), `await fetch('${store.url}', { method: 'POST', body: '{}' })`)
    const child = startCli(['serve', '--port', '0', '--config', join(folder, 'c.mjs')])
    const end = endOfCli(child)
    await expect.poll(() => store.requests.length, { timeout: 20_000 }).toBe(1)
    child.kill('SIGTERM')
    expect(await end).toMatchObject({ code: 0, stderr: '' })
    gate.release()
  })

  test('a changed config file, and SIGHUP, take the new config; a wrong one changes nothing', async ({
    folder,
    start,
    server,
  }) => {
    const upstream = await server(answer('Hi.'), { format: 'openai' })
    const file = join(folder, 'my.config.ts')
    await writeFile(file, configOf(upstream.baseURL))
    const running = await start(['--config', file])
    await writeFile(file, 'export default { routes: 7 }')
    await running.until('the config is invalid: the previous one stays in use')
    expect((await post(running.url, body, key)).status).toBe(200)
    await writeFile(file, configOf(upstream.baseURL).replace('{ chat }', '{ other: chat }'))
    running.signal('SIGHUP')
    await running.until('config reloaded')
    expect((await post(running.url, body, key)).status).toBe(404)
    expect((await post(running.url, { ...body, model: 'other' }, key)).status).toBe(200)
  })

  test('a config in CommonJS is read anew too: a key that was taken out of it opens nothing any more', async ({
    folder,
    start,
  }) => {
    const file = join(folder, 'c.cjs')
    const config = (only: string) => `module.exports = {
      chain: [require('unbusy').openaiCompatible('m', { baseURL: 'http://127.0.0.1:1/v1' })], keys: ['${only}'],
    }`
    await writeFile(file, config('the-key'))
    const running = await start(['--config', file])
    const status = async () => (await fetch(`${running.url}/models`, { headers: key })).status
    expect(await status()).toBe(200)
    await writeFile(file, config('another'))
    await running.until('config reloaded')
    expect(await status()).toBe(401)
  })

  test('what is written into the config while it is loaded is taken too', async ({ folder, start, server }) => {
    const upstream = await server(answer('Hi.'), { format: 'openai' })
    const gate = hold()
    const store = await server({ ...json({}), headersUntil: gate.released })
    const file = join(folder, 'unbusy.config.ts')
    await writeFile(file, `await fetch('${store.url}', { method: 'POST', body: '{}' })\n${configOf(upstream.baseURL)}`)
    const starting = start([])
    await expect.poll(() => store.requests.length, { timeout: 20_000 }).toBe(1)
    await writeFile(file, configOf(upstream.baseURL).replace('{ chat }', '{ other: chat }'))
    gate.release()
    const running = await starting
    await running.until('config reloaded')
    expect((await post(running.url, { ...body, model: 'other' }, key)).status).toBe(200)
  })

  test('a config that waits for a store for ever does not keep the next one out, and is never taken after it', async ({
    folder,
    start,
    server,
  }) => {
    const upstream = await server(answer('Hi.'), { format: 'openai' })
    const gate = hold()
    const store = await server({ ...json({}), headersUntil: gate.released })
    const file = join(folder, 'unbusy.config.ts')
    const config = (name: string) => configOf(upstream.baseURL).replace('{ chat }', `{ ${name}: chat }`)
    await writeFile(file, configOf(upstream.baseURL))
    const running = await start([])
    await writeFile(file, `await fetch('${store.url}', { method: 'POST', body: '{}' })\n${config('late')}`)
    await expect.poll(() => store.requests.length, { timeout: 20_000 }).toBe(1)
    await writeFile(file, config('next'))
    await running.until('config reloaded')
    gate.release()
    await writeFile(file, 'export default 7')
    await running.until('the config is invalid: the previous one stays in use')
    expect((await post(running.url, { ...body, model: 'late' }, key)).status).toBe(404)
    expect((await post(running.url, { ...body, model: 'next' }, key)).status).toBe(200)
  })

  test('while the config is loaded, /ready is 503 and /health 200 on the port of the command line', async ({
    folder,
    start,
    server,
  }) => {
    const upstream = await server(answer('Hi.'), { format: 'openai' })
    const gate = hold()
    const store = await server({ ...json({}), headersUntil: gate.released })
    const asking = `await fetch('${store.url}', { method: 'POST', body: '{}' })`
    await writeFile(join(folder, 'unbusy.config.ts'), `${asking}\n${configOf(upstream.baseURL)}`)
    const port = await freePort()
    const running = start(['--port', String(port)])
    const probe = (path: string) =>
      fetch(`http://127.0.0.1:${port}${path}`).then(
        ({ status }) => status,
        () => 0,
      )
    await expect.poll(() => probe('/ready'), { timeout: 20_000 }).toBe(503)
    expect(await Promise.all([probe('/health'), probe('/v1/models')])).toEqual([200, 503])
    gate.release()
    const { url } = await running
    expect([await probe('/ready'), (await post(url, body, key)).status]).toEqual([200, 200])
  })

  test('without a config it serves the chain of the environment, and takes keys from there', async ({ start, server }) => {
    const upstream = await server(answer('Hi.'), { format: 'deepseek' })
    const running = await start([], { DEEPSEEK_API_KEY: 'k', DEEPSEEK_BASE_URL: upstream.baseURL, UNBUSY_KEYS: 'the-key, other' })
    expect((await post(running.url)).status).toBe(401)
    expect(await (await post(running.url, { ...body, model: 'any' }, key)).json()).toMatchObject({
      choices: [{ message: { content: 'Hi.' } }],
    })
  })

  const env = { DEEPSEEK_API_KEY: 'k' }
  test.for([
    [['--host', '0.0.0.0'], 2, 'Write keys, or noKeys: true (--no-keys)'],
    [['--port', 'x'], 2, '--port must be a whole number'],
    [['--prot', '1'], 2, "Did you mean '--port'?"],
    [['now'], 2, 'serve takes no arguments'],
    [['--config', 'nowhere.ts'], 2, 'There is no config'],
    [['--config', 'a.ts', '--chain', 'deepseek'], 2, 'not both'],
  ] as const)('serve %o exits with %i', async ([words, code, message]) => {
    const end = await runCli(['serve', ...words], env)
    expect([end.code, end.stderr]).toEqual([code, expect.stringContaining(message)])
  })

  test('a port that is taken is said, and the exit code is 1', async ({ server }) => {
    const taken = await server(answer('Hi.'))
    const end = await runCli(['serve', '--port', new URL(taken.url).port], env)
    expect([end.code, end.stderr]).toEqual([1, expect.stringContaining('is already in use')])
  })

  test('a config that imports unbusy where it is not installed says what to install', async ({ onTestFinished }) => {
    const bare = await mkdtemp(join(tmpdir(), 'unbusy-bare-'))
    onTestFinished(() => rm(bare, { recursive: true, force: true }))
    await writeFile(join(bare, 'c.mjs'), "import { deepseek } from 'unbusy'\nexport default { chain: [deepseek()] }")
    const end = await runCli(['serve', '--config', join(bare, 'c.mjs')], env)
    expect([end.code, end.stderr]).toEqual([2, expect.stringContaining('npm install unbusy')])
  })

  test('nobody to ask: says so, and exits with 1', async () => {
    const end = await runCli(['serve'])
    expect([end.code, end.stderr]).toEqual([1, expect.stringContaining('There is no service to ask')])
  })
})
