import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { RedisLibrary } from './redis-clients.ts'

export type FleetSettings = {
  readonly library: RedisLibrary
  readonly port: number
  readonly firstURL: string
  readonly secondURL: string
  readonly openMs: number
  readonly commandTimeoutMs: number
}

/** Settings: a client is made. `run`: one call after the other, until `stop`. */
export type FleetTask = FleetSettings | 'ask' | 'run' | 'stop' | 'close'
export type FleetCall = { readonly provider: string; readonly durationMs: number }
/** A state of the first target, a state of the store, or the kind of an attempt at the first target. `at`: the clock of the machine. */
export type FleetEvent = { readonly type: string; readonly at: number }
export type FleetReport = {
  readonly done?: 'ready' | 'started' | 'closed'
  readonly calls?: readonly FleetCall[]
  readonly event?: FleetEvent
}

export type FleetProcess = {
  /** Since the last start. */
  readonly events: readonly FleetEvent[]
  start(settings: FleetSettings): Promise<void>
  ask(): Promise<FleetCall>
  run(): { stop(): Promise<readonly FleetCall[]> }
  has(type: string): boolean
  /** Closes its client and its connection to Redis. */
  close(): Promise<void>
  /** Ends the process. It must end by itself: nothing may be left that keeps it. */
  end(): Promise<void>
}

export async function startFleetProcess(): Promise<FleetProcess> {
  const child = fork(fileURLToPath(new URL('fleet-process.ts', import.meta.url)), {
    execArgv: ['--conditions=unbusy-source', '--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const events: FleetEvent[] = []
  child.on('message', ({ event }: FleetReport) => {
    if (event !== undefined) events.push(event)
  })
  const calls = () => reportOf(child, report => report.calls)
  const isDone = (what: FleetReport['done']) => reportOf(child, ({ done }) => (done === what ? done : undefined))
  const send = (task: FleetTask) => void child.send(task)
  await isDone('ready')
  return {
    events,
    async start(settings) {
      events.length = 0
      const started = isDone('started')
      send(settings)
      await started
    },
    async ask() {
      const answer = calls()
      send('ask')
      return (await answer)[0]!
    },
    run() {
      const all = calls()
      send('run')
      return {
        stop() {
          send('stop')
          return all
        },
      }
    },
    has: type => events.some(event => event.type === type),
    async close() {
      const closed = isDone('closed')
      send('close')
      await closed
    },
    async end() {
      const exit = once(child, 'exit')
      child.disconnect()
      await exit
    },
  }
}

async function reportOf<Value>(child: ChildProcess, pick: (report: FleetReport) => Value | undefined): Promise<Value> {
  const { promise, resolve, reject } = Promise.withResolvers<Value>()
  const onMessage = (report: FleetReport) => {
    const value = pick(report)
    if (value !== undefined) resolve(value)
  }
  const onExit = (code: number | null) => reject(new Error(`A process of the fleet ended early with exit code ${code}.`))
  child.on('message', onMessage)
  child.on('exit', onExit)
  try {
    return await promise
  } finally {
    child.off('message', onMessage)
    child.off('exit', onExit)
  }
}
