import type { ServerName } from './world/ledger.ts'
import type { ServerModel, ServerState } from './world/server.ts'

/** One kind of bad day. Times in milliseconds from its beginning. */
export type Scenario = {
  readonly name: string
  readonly title: string
  readonly chain: readonly ServerName[]
  /** What is different about the servers all day. */
  readonly servers?: Partial<Readonly<Record<ServerName, Partial<ServerModel>>>> | undefined
  readonly changes: readonly Change[]
  readonly bad: { readonly fromMs: number; readonly toMs: number }
  readonly countedFromMs: number
  readonly endMs: number
  /** The servers whose requests are counted in the bad time, and from when on. */
  readonly faulty: readonly ServerName[]
  readonly faultyFromMs?: number | undefined
  /** The callers have a default response. */
  readonly hasDefault?: boolean | undefined
  /** Sizes of the fleet in which it is lived through. @default 1 and 50 */
  readonly processes?: readonly number[] | undefined
}

export type Change = { readonly atMs: number; readonly server: ServerName; readonly to: Partial<ServerState> }

/** The servers of every scenario. */
export const serverModels: Readonly<Record<ServerName, ServerModel>> = {
  P: {
    name: 'P',
    firstToken: { median: 900, sigma: 0.6 },
    tokensPerSecond: 50,
    slots: 1000,
    queue: 5000,
    keepAlives: true,
    stuck: 0,
    cut: 0,
    cancellable: true,
    price: { input: 0.15, output: 0.6 },
  },
  S: {
    name: 'S',
    firstToken: { median: 600, sigma: 0.4 },
    tokensPerSecond: 80,
    slots: 1200,
    queue: 0,
    keepAlives: false,
    quota: { requests: 150, windowMs: 1000 },
    stuck: 0,
    cut: 0,
    cancellable: true,
    price: { input: 2, output: 8 },
  },
  L: {
    name: 'L',
    firstToken: { median: 1500, sigma: 0.3 },
    tokensPerSecond: 20,
    slots: 8,
    queue: 16,
    keepAlives: false,
    stuck: 0,
    cut: 0,
    cancellable: true,
    price: { input: 0, output: 0 },
  },
}

/** Calls per second of the whole fleet. */
export const baseRps = 100
export const deadlineMs = 60_000

const whole = ['P', 'S', 'L'] as const
const begin = 120_000
const counted = { countedFromMs: 60_000, endMs: 360_000 }
const lasting = (seconds: number): Scenario['bad'] => ({ fromMs: begin, toMs: begin + seconds * 1000 })
const allDay = (endMs: number): Pick<Scenario, 'bad' | 'countedFromMs' | 'endMs'> => ({
  bad: { fromMs: 60_000, toMs: endMs },
  countedFromMs: 60_000,
  endMs,
})

const during = (
  server: ServerName,
  bad: Scenario['bad'],
  [to, back]: readonly [Partial<ServerState>, Partial<ServerState>],
): Change[] => [
  { atMs: bad.fromMs, server, to },
  { atMs: bad.toMs, server, to: back },
]
const refusing = [{ mode: 'refusing' }, { mode: 'up' }] as const
const silent = [{ mode: 'silent' }, { mode: 'up' }] as const
const upAndDown = [0, 1, 2, 3, 4, 5].flatMap(round =>
  during('P', { fromMs: begin + round * 20_000, toMs: begin + round * 20_000 + 10_000 }, refusing),
)
const noCancellation = { slots: 800, queue: Infinity, cancellable: false }

export const scenarios: readonly Scenario[] = [
  {
    name: 'S0',
    title: 'steady, 1 % of prefills stuck for another 10 to 30 s',
    chain: whole,
    servers: { P: { stuck: 0.01 } },
    changes: [],
    ...allDay(300_000),
    faulty: [],
  },
  {
    name: 'S1',
    title: 'P refuses with 503 for 60 s',
    chain: whole,
    processes: [1, 50, 500],
    changes: during('P', lasting(60), refusing),
    ...counted,
    bad: lasting(60),
    faulty: ['P'],
  },
  {
    name: 'S2',
    title: 'P is a black hole for 60 s',
    chain: whole,
    changes: during('P', lasting(60), silent),
    ...counted,
    bad: lasting(60),
    faulty: ['P'],
  },
  {
    name: 'S3',
    title: '30 % of the requests to P get 503 for 120 s',
    chain: whole,
    changes: during('P', lasting(120), [{ brownout: 0.3 }, { brownout: 0 }]),
    ...counted,
    bad: lasting(120),
    faulty: ['P'],
  },
  {
    name: 'S4',
    title: 'P has 200 slots instead of 1000 for 120 s',
    chain: whole,
    changes: during('P', lasting(120), [{ slots: 200 }, { slots: 1000 }]),
    ...counted,
    endMs: 420_000,
    bad: lasting(120),
    faulty: ['P'],
  },
  {
    name: 'S5',
    title: 'P has a quota of 60 rps in windows of 30 s, S of 60 rps in windows of 1 s',
    chain: whole,
    servers: {
      P: { quota: { requests: 1800, windowMs: 30_000 } },
      S: { quota: { requests: 60, windowMs: 1000 } },
    },
    changes: [],
    ...allDay(360_000),
    faulty: ['P'],
  },
  {
    name: 'S6',
    title: 'P is 10 s down and 10 s up, six times',
    chain: whole,
    changes: upAndDown,
    ...counted,
    bad: lasting(120),
    faulty: ['P'],
  },
  {
    name: 'S7',
    title: 'P and S refuse for 60 s',
    chain: whole,
    changes: [...during('P', lasting(60), refusing), ...during('S', lasting(60), refusing)],
    ...counted,
    bad: lasting(60),
    faulty: ['P', 'S'],
    faultyFromMs: begin + 2000,
  },
  {
    name: 'S7d',
    title: 'as S7, and the callers have a default response',
    chain: whole,
    hasDefault: true,
    changes: [...during('P', lasting(60), refusing), ...during('S', lasting(60), refusing)],
    ...counted,
    bad: lasting(60),
    faulty: ['P', 'S'],
    faultyFromMs: begin + 2000,
  },
  {
    name: 'S8',
    title: '2 % of the answers of P are cut',
    chain: whole,
    servers: { P: { cut: 0.02 } },
    changes: [],
    ...allDay(240_000),
    faulty: [],
  },
  {
    name: 'S9',
    title: 'P alone, without cancellation: 200 slots instead of 800 for 60 s',
    chain: ['P'],
    servers: { P: noCancellation },
    changes: during('P', lasting(60), [{ slots: 200 }, { slots: 800 }]),
    ...counted,
    endMs: 600_000,
    bad: lasting(60),
    faulty: ['P'],
  },
  {
    name: 'S9b',
    title: 'as S9, with the whole chain',
    chain: whole,
    servers: { P: noCancellation },
    changes: during('P', lasting(60), [{ slots: 200 }, { slots: 800 }]),
    ...counted,
    endMs: 600_000,
    bad: lasting(60),
    faulty: ['P'],
  },
]
