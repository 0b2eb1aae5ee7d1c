import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { needed } from './needed.ts'

const program = ['chromium', 'chromium-browser', 'google-chrome'].find(name => spawnSync(name, ['--version']).status === 0)

/** The system's own Chromium (Debian's package `chromium`). */
export const chromium = needed('chromium', program === undefined ? 'there is no chromium here' : undefined)

/** One page in a browser of its own. */
export type Page = {
  /** Loads an address and waits until it is there. */
  open(url: string): Promise<void>
  /** What an expression is worth in the page; promises are waited for. */
  evaluate<Value>(expression: string): Promise<Value>
  /** The size of the window, and whether the reader's system is dark. */
  look(options: { readonly width: number; readonly height: number; readonly scheme: 'light' | 'dark' }): Promise<void>
  /** A picture of the whole page. */
  picture(file: string): Promise<void>
  /** What the page wrote to its console, and what the browser refused it. */
  readonly complaints: readonly string[]
  close(): Promise<void>
}

type Message = {
  readonly id?: number
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

export async function openBrowser(): Promise<Page> {
  const profile = await mkdtemp(join(tmpdir(), 'unbusy-chromium-'))
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0', `--user-data-dir=${profile}`]
  const child = spawn(program ?? '', [...flags, '--hide-scrollbars', 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const address = await addressOf(child)
  const targets = (await (await fetch(`http://${new URL(address).host}/json`)).json()) as readonly {
    readonly type: string
    readonly webSocketDebuggerUrl: string
  }[]
  const socket = new WebSocket(targets.find(({ type }) => type === 'page')?.webSocketDebuggerUrl ?? '')
  await new Promise(resolve => socket.addEventListener('open', resolve, { once: true }))
  const waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  const listeners = new Map<string, () => void>()
  const complaints: string[] = []
  let count = 0
  socket.addEventListener('message', ({ data }) => {
    const { id, method, params, result, error } = JSON.parse(String(data)) as Message
    if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded') complaints.push(JSON.stringify(params))
    if (method !== undefined) listeners.get(method)?.()
    if (id === undefined) return
    if (error === undefined) waiting.get(id)?.resolve(result)
    else waiting.get(id)?.reject(new Error(error.message))
    waiting.delete(id)
  })
  const send = async <Result>(method: string, params: object = {}): Promise<Result> => {
    const id = (count += 1)
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    waiting.set(id, { resolve, reject })
    socket.send(JSON.stringify({ id, method, params }))
    return (await promise) as Result
  }
  for (const domain of ['Page', 'Runtime', 'Log']) await send(`${domain}.enable`)
  return {
    complaints,
    async open(url) {
      const loaded = new Promise<void>(resolve => void listeners.set('Page.loadEventFired', resolve))
      await send('Page.navigate', { url })
      await loaded
    },
    async evaluate<Value>(expression: string) {
      const options = { expression, awaitPromise: true, returnByValue: true }
      const { result, exceptionDetails } = await send<{
        readonly result: { readonly value: Value }
        readonly exceptionDetails?: unknown
      }>('Runtime.evaluate', options)
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
      return result.value
    },
    async look({ width, height, scheme }) {
      await send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 })
      await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
    },
    async picture(file) {
      const { data } = await send<{ readonly data: string }>('Page.captureScreenshot', { captureBeyondViewport: true })
      await writeFile(file, Buffer.from(data, 'base64'))
    },
    async close() {
      socket.close()
      const ended = new Promise(resolve => void child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    child.once('exit', () => reject(new Error(`chromium ended: ${said}`)))
    child.stderr?.on('data', chunk => {
      said += String(chunk)
      const [, address] = /listening on (ws:\S+)/.exec(said) ?? []
      if (address !== undefined) resolve(address)
    })
  })
}
