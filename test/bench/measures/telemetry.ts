import { pino } from 'pino'
import { Registry } from 'prom-client'
import { createClient } from '../../../src/client.ts'
import type { Attempt } from '../../../src/contract.ts'
import type { Target } from '../../../src/contract-targets.ts'
import { openTelemetry, type OpenTelemetryOptions } from '../../../src/opentelemetry/open-telemetry.ts'
import type { ClientOptions } from '../../../src/options.ts'
import { prometheus } from '../../../src/prometheus/prometheus.ts'
import { peers } from '../../helpers/peers.ts'
import { installPeers } from '../../peers/groups.ts'
import { interleave } from '../bench.ts'
import { median } from '../statistics.ts'
import { warmCalls } from './subjects.ts'
import { pinoAlone, sdkAlone } from './telemetry-floor.ts'
import type { Figure, Measure, Subject } from '../bench.ts'

const shortAnswer = 27
const longAnswer = 427

/** A service in memory: what is left is our own time, and that of what watches it. */
const target = (tokens: number): Target => ({
  provider: {
    name: 'bench',
    async stream(_, attempt: Attempt) {
      await Promise.resolve()
      for (let token = 0; token < tokens; token += 1) attempt.emit({ type: 'text-delta', text: 'word ' })
      attempt.emit({ type: 'finish', finishReason: 'stop', usage: { inputTokens: 10, outputTokens: tokens } })
    },
  },
  model: 'm',
  price: { input: 1, output: 2 },
})

type Sdk = {
  readonly trace: { readonly TracerProvider: new (options: object) => NonNullable<OpenTelemetryOptions['tracerProvider']> }
  readonly metrics: {
    readonly MeterProvider: new (options: object) => NonNullable<OpenTelemetryOptions['meterProvider']>
    readonly MetricReader: new () => object
  }
}

type Providers = Required<Pick<OpenTelemetryOptions, 'tracerProvider' | 'meterProvider'>>

/** Returns a function that makes providers of the SDK, which export nothing. */
const loadSdk = async (): Promise<() => Providers> => {
  await installPeers('otel')
  const otel = peers('otel')
  const sdk: Sdk = { trace: await otel.load('@opentelemetry/sdk-trace'), metrics: await otel.load('@opentelemetry/sdk-metrics') }
  class Reader extends sdk.metrics.MetricReader {
    async onForceFlush(): Promise<void> {}
    async onShutdown(): Promise<void> {}
  }
  const nothing = { onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} }
  return () => ({
    tracerProvider: new sdk.trace.TracerProvider({ spanProcessors: [nothing] }),
    meterProvider: new sdk.metrics.MeterProvider({ readers: [new Reader()] }),
  })
}

const logger = () => pino({ level: 'info' }, { write() {} })

type Work = Subject & {
  /** Returns the CPU time of one call in microseconds. */
  run(limits: { readonly forMs: number; readonly calls?: number }): Promise<number>
}

const workOf = (name: string, one: () => unknown): Work => {
  const run: Work['run'] = async ({ forMs, calls: most = Infinity }) => {
    let calls = 0
    const until = performance.now() + forMs
    const before = process.cpuUsage()
    while (performance.now() < until && calls < most) {
      for (let each = 0; each < 50; each += 1) await one()
      calls += 50
    }
    const { user, system } = process.cpuUsage(before)
    return (user + system) / calls
  }
  return { name, client: 'unbusy', run, sample: () => run({ forMs: 80 }) }
}

const callsOf = (name: string, watched: Omit<ClientOptions, 'chain'>, tokens = shortAnswer): Work => {
  const client = createClient({ chain: [target(tokens)], ...watched })
  return workOf(name, () => client.generate('Hi'))
}

/** Work after a call that nobody watches: in a loop of its own it would find its code in the caches of the processor, and seem cheaper. */
const beside = (name: string, work: () => void): Work => {
  const client = createClient({ chain: [target(shortAnswer)] })
  return workOf(name, async () => {
    await client.generate('Hi')
    work()
  })
}

const everything = 'OpenTelemetry with SDK, prom-client, pino and status'
const alone = { sdk: 'the SDK by itself: the same spans and records', pino: 'pino by itself: the same line' } as const

const subjectsOf = (providers: () => Providers): readonly Work[] => {
  const sdk = () => openTelemetry(providers())
  const metrics = () => prometheus({ register: new Registry() })
  const all = () => ({ telemetry: [sdk(), metrics()], logger: logger() })
  return [
    callsOf('none', {}),
    callsOf(everything, all()),
    callsOf('OpenTelemetry with SDK', { telemetry: [sdk()] }),
    callsOf('prom-client', { telemetry: [metrics()] }),
    callsOf('pino', { logger: logger() }),
    callsOf('none, long', {}, longAnswer),
    callsOf('all, long', all(), longAnswer),
    beside(alone.sdk, sdkAlone(providers() as Parameters<typeof sdkAlone>[0])),
    beside(alone.pino, pinoAlone(logger())),
  ]
}

const less = (some: readonly number[], others: readonly number[]): readonly number[] =>
  some.map((value, round) => value - (others[round] ?? Number.NaN))

/**
 * What everything that watches a call adds to it, together and one by one, and to each of its tokens; below it what the peers need by
 * themselves, which is part of that. In one process, interleaved, the median of the rounds; the status is counted always.
 */
export const telemetry: Measure = async ({ effort }) => {
  const subjects = subjectsOf(await loadSdk())
  for (const { name, run } of subjects)
    await run({ forMs: effort.warmUpMs, calls: name.endsWith('long') ? warmCalls / 10 : warmCalls })
  const samples = await interleave(subjects, Math.max(7, effort.rounds))
  const of = (name: string): readonly number[] => samples.get(name) ?? []
  const figure = (subject: string, name: string, values: readonly number[]): Figure => ({
    ...{ measure: 'telemetry', unit: 'us', ratio: undefined },
    ...{ subject, case: name, value: median(values) },
  })
  const added = (subject: string): readonly number[] => less(of(subject), of('none'))
  const perToken = less(less(of('all, long'), of('none, long')), added(everything))
  return [
    ...[everything, 'OpenTelemetry with SDK', alone.sdk, 'prom-client', 'pino', alone.pino].map(name =>
      figure(name, 'added to a call', added(name)),
    ),
    figure(
      everything,
      'added to a token',
      perToken.map(value => value / (longAnswer - shortAnswer)),
    ),
  ]
}
