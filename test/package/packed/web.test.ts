import { type ChildProcess, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import ts from 'typescript'
import { fromResponse } from 'unbusy/browser'
import { answer, type Reply, type ReceivedRequest, startServer, status, type TestServer } from 'unbusy/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EndlessModel, startEndlessModel } from '../../helpers/endless-model.ts'
import { freePort } from '../../helpers/free-port.ts'
import { peers } from '../../helpers/peers.ts'
import { type Consumer, createConsumer, repository } from './consumer.ts'

/** The recipes of docs/web.md, word for word, in the real servers, with the packed product. */
const web = peers('web')
const recipes = ['express', 'fastify', 'hono', 'next'] as const

let consumer: Consumer
/** Beside what the group has installed, so that the recipes find it. */
let folder: string

beforeAll(async () => {
  if (web.isMissing) return
  consumer = await createConsumer()
  folder = await mkdtemp(join(web.folder, '.recipes-'))
  await cp(join(consumer.folder, 'node_modules'), join(folder, 'node_modules'), { recursive: true })
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  for (const name of ['express', 'fastify', 'hono', 'next', 'page']) await cp(recipe(name), join(folder, `${name}.ts`))
  // as JavaScript: at the sight of TypeScript, Next.js installs packages
  const { outputText } = ts.transpileModule(await readFile(recipe('next'), 'utf8'), {
    compilerOptions: { target: ts.ScriptTarget.ES2022 },
  })
  await mkdir(join(folder, 'app/chat'), { recursive: true })
  await writeFile(join(folder, 'app/chat/route.js'), outputText)
  await writeFile(join(folder, 'next.config.js'), `export default { turbopack: { root: ${JSON.stringify(web.folder)} } }`)
})

afterAll(async () => {
  if (web.isMissing) return
  await consumer.remove()
  await rm(folder, { recursive: true, force: true })
})

const recipe = (name: string): string => join(repository, `examples/web/${name}.ts`)

/** The model does what the prompt says. */
const replies: Readonly<Record<string, Reply>> = {
  talk: answer(['Hello', ' world', '.']),
  break: answer(['Hello', ' world'], { cutAfterChunks: 1 }),
  stall: answer(['Hello', ' world'], { stallAfterChunks: 1 }),
  think: answer(['Hello'], { keepAliveForMs: Infinity, keepAliveEveryMs: 100 }),
  busy: status(503, undefined, { 'retry-after': '600' }),
}

function replyTo({ json }: ReceivedRequest): Reply {
  const { messages } = json as { readonly messages: readonly { readonly content: string }[] }
  return replies[messages[0]?.content ?? ''] ?? status(400)
}

describe.skipIf(web.isMissing)(`the recipes of docs/web.md${web.suffix}`, () => {
  test('compile', () => {
    const { config } = ts.readConfigFile(join(repository, 'tsconfig.json'), path => ts.sys.readFile(path)) as { config: object }
    const { options } = ts.parseJsonConfigFileContent({ ...config, files: [] }, ts.sys, repository)
    const files = ['express', 'fastify', 'hono', 'next', 'page'].map(name => join(folder, `${name}.ts`))
    const lib = ['lib.es2024.d.ts', 'lib.esnext.disposable.d.ts', 'lib.dom.d.ts', 'lib.dom.asynciterable.d.ts']
    const typeRoots = [join(repository, 'node_modules/@types'), join(web.folder, 'node_modules/@types')]
    const program = ts.createProgram(files, { ...options, lib, typeRoots, customConditions: [] })
    const problems = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
    expect(problems).toEqual([])
  })

  describe.each(recipes)('%s', name => {
    let model: TestServer
    let server: Running

    beforeAll(async () => {
      model = await startServer(replyTo)
      server = await start(name, model.baseURL)
    }, 240_000)

    afterAll(async () => {
      await server.stop()
      await model.close()
    })

    test('the page gets every event', async () => {
      const response = await chat(server, 'talk')
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
      let text = ''
      for await (const event of fromResponse(response)) if (event.type === 'text-delta') text += event.text
      expect(text).toBe('Hello world.')
    })

    test('a tab that is closed ends the request to the model: in the middle of the answer, and before its first word', async () => {
      for (const prompt of ['stall', 'think']) {
        const before = model.requests.length
        const { leave } = tab(server, prompt, prompt === 'stall')
        await model.untilRequests(before + 1)
        await leave()
        await expect.poll(() => model.openConnections(), { timeout: 5_000 }).toBe(0)
      }
    })

    test('a break behind the headers is told', async () => {
      const events = fromResponse(await chat(server, 'break'))
      expect(await events.next()).toMatchObject({ value: { type: 'response-metadata' } })
      expect(await events.next()).toMatchObject({ value: { type: 'text-delta', text: 'Hello' } })
      await expect(events.next()).rejects.toMatchObject({ name: 'ResponseError', reason: 'truncated' })
    })

    // the last one: the target is left alone afterwards
    test('nobody answers: the status of the error, Retry-After, and one line that a stranger may see', async () => {
      const response = await chat(server, 'busy')
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, expect.stringMatching(/^(?:600|599)$/)])
      expect(await response.json()).toEqual({ error: expect.stringMatching(/^No target answered \(overloaded\)\. Try again in/) })
    })
  })

  test.for(recipes)('%s: of 100 MB a few are sent to a page that reads nothing', { timeout: 240_000 }, async name => {
    await using model: EndlessModel = await startEndlessModel(100e6)
    const server = await start(name, model.baseURL)
    try {
      const { leave } = tab(server, 'talk', true)
      for (let before = -1; before === 0 || before !== model.sent();) {
        before = model.sent()
        await new Promise(resolve => setTimeout(resolve, 500))
      }
      expect(model.sent()).toBeGreaterThan(0)
      expect(model.sent()).toBeLessThan(30e6)
      await leave()
      expect(await model.over).toBeLessThan(30e6)
    } finally {
      await server.stop()
    }
  })
})

type Running = { readonly port: number; stop(): Promise<void> }

async function start(name: (typeof recipes)[number], modelURL: string): Promise<Running> {
  const port = await freePort()
  const env = {
    ...process.env,
    ...{ PORT: String(port), MODEL_URL: modelURL, DEEPSEEK_API_KEY: 'test', NEXT_TELEMETRY_DISABLED: '1', NODE_OPTIONS: '' },
  }
  const next = join(web.folder, 'node_modules/next/dist/bin/next')
  const values = name === 'next' ? [next, 'dev', '--hostname', '127.0.0.1', '--port', String(port)] : [`${name}.ts`]
  const child = spawn(process.execPath, values, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', piece => (said += String(piece)))
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${name} ended.\n${said}`)
    if (await isListening(port)) return { port, stop: () => stop(child) }
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

async function stop(child: ChildProcess): Promise<void> {
  const over = new Promise(resolve => child.once('exit', resolve))
  if (child.exitCode !== null) return
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await over
  clearTimeout(late)
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    return await new Promise(resolve => socket.on('connect', () => resolve(true)).on('error', () => resolve(false)))
  } finally {
    socket.destroy()
  }
}

const headers = { 'content-type': 'application/json' }

function chat({ port }: Running, prompt: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/chat`, { method: 'POST', headers, body: JSON.stringify({ prompt }) })
}

/** A page that reads the first piece, and then nothing; or that never gets one. */
function tab({ port }: Running, prompt: string, hasContent: boolean): { leave(): Promise<void> } {
  const asked = request({ port, host: '127.0.0.1', path: '/chat', method: 'POST', headers })
  asked.on('error', () => {})
  asked.end(JSON.stringify({ prompt }))
  const first = new Promise<void>(resolve =>
    asked.on('response', (response: IncomingMessage) => {
      response.on('error', () => {})
      response.once('data', () => {
        response.pause()
        resolve()
      })
    }),
  )
  return {
    async leave() {
      if (hasContent) await first
      asked.destroy()
    },
  }
}
