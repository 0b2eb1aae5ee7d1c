import { AsyncLocalStorage } from 'node:async_hooks'
import { pino } from 'pino'
import { ChainExhaustedError, createClient, deepseek, type Target } from 'unbusy'
import { answer, fakeTarget, status } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { z } from 'zod'
import { test } from '../helpers/vitest.ts'

function logging(options: object = {}, bindings?: object) {
  const lines: string[] = []
  const root = pino({ level: 'debug', name: 'app', ...options }, { write: line => void lines.push(line) })
  return { logger: bindings === undefined ? root : root.child(bindings), lines }
}

/** The keys of a flat line as they stand in it: JSON.parse would hide one that is there twice. */
function keysOf(line: string): readonly string[] {
  return [...line.matchAll(/[{,]"((?:[^"\\]|\\.)+)":/g)].map(([, key]) => key ?? '')
}

const named = (reply: Parameters<typeof fakeTarget>[0], clock: Parameters<typeof fakeTarget>[1]): Target => ({
  ...fakeTarget(reply, clock),
  name: 'main',
})

test('pino: one child for each client, no key twice, fields named as in OpenTelemetry', async ({ clock }) => {
  const { logger, lines } = logging()
  const chain = [named([{ error: 'overloaded' }, { error: 'quota' }], { clock, retry: 1 }), fakeTarget('Hi.', { clock })]
  const client = createClient({ chain, clock, logger })
  await clock.until(client.generate('Hi'))
  await clock.until(client.generate('Hi'))
  expect(lines.length).toBeGreaterThan(4)
  for (const line of lines) {
    expect(JSON.parse(line)).toMatchObject({ module: 'unbusy', name: 'app' })
    expect(keysOf(line)).toEqual([...new Set(keysOf(line))])
  }
  const parsed = lines.map(line => JSON.parse(line) as Record<string, unknown>)
  expect(parsed.find(({ msg }) => msg === 'attempt failed')).toMatchObject({
    ...{
      level: 40,
      callId: 1,
      target: 'main',
      'gen_ai.provider.name': 'fake',
      'gen_ai.request.model': 'fake-1',
      'error.type': 'overloaded',
    },
  })
  expect(parsed.find(({ msg }) => msg === 'call answered')).toMatchObject({ level: 30, 'gen_ai.provider.name': 'fake' })
  const [main, overloaded, quota] = [
    { provider: 'fake', model: 'fake-1', target: 'main', targetIndex: 0, 'gen_ai.request.model': 'fake-1' },
    ...['overloaded', 'quota'].map(reason => ({ reason, 'error.type': reason })),
  ]
  expect(parsed.find(({ msg }) => msg === 'waits')).toMatchObject({ level: 20, ...main, ...overloaded })
  expect(parsed.find(({ msg }) => msg === 'target skipped')).toMatchObject({ level: 20, ...main, ...quota })
  expect(parsed.find(({ msg }) => msg === 'health changed')).toMatchObject({ ...main, ...quota })
})

test('a parent that has a module already gets no child: the key would be there twice', async ({ clock }) => {
  const { logger, lines } = logging({}, { module: 'chat' })
  const client = createClient({ chain: [fakeTarget('Hi.', { clock })], clock, logger })
  await clock.until(client.generate('Hi'))
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ module: 'chat', msg: 'call answered' })
  expect(keysOf(lines[0] ?? '').filter(key => key === 'module')).toHaveLength(1)
})

test.for([
  [
    'throws',
    () => {
      throw new Error('no children')
    },
  ],
  ['returns no logger', () => ({})],
  ['is no function', 5],
] as const)('a logger whose child %s is used itself', async ([, child], { clock }) => {
  const lines: string[] = []
  const write = (_: object, message: string) => void lines.push(message)
  const logger = { debug: write, info: write, warn: write, child }
  const client = createClient({ chain: [fakeTarget('Hi.', { clock })], clock, logger })
  await clock.until(client.generate('Hi'))
  expect(lines).toEqual(['call answered'])
})

test('down is a warning, up again is none', async ({ clock }) => {
  const { logger, lines } = logging()
  const chain = [fakeTarget([{ error: 'overloaded' }, 'Hi.'], { clock, retry: 0 })]
  const client = createClient({ chain, clock, logger, breaker: { consecutiveFailures: 1, openMs: 1_000 } })
  await clock.until(client.generate('Hi').catch(() => {}))
  await clock.advance(2_000)
  await clock.until(client.generate('Hi').catch(() => {}))
  const changes = lines.map(line => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === 'health changed')
  expect(changes.find(({ state }) => state === 'open')).toMatchObject({ level: 40 })
  expect(changes.filter(({ state }) => state !== 'open').every(({ level }) => level === 30)).toBe(true)
})

test('a ping has its target under the name that all lines have, and no key twice', async ({ clock }) => {
  const { logger, lines } = logging()
  const chain = [{ ...named(['Hi.', { error: 'quota' }], { clock }), keepWarm: { prompt: 'You are kind.' } }]
  const client = createClient({ chain, clock, logger })
  onTestFinished(async () => client.close())
  await clock.until(client.warmUp())
  await clock.until(client.warmUp())
  const pings = lines.filter(line => line.includes('warm"'))
  expect(pings.map(line => JSON.parse(line) as object)).toMatchObject([
    { msg: 'kept warm', name: 'app', target: 'main', 'gen_ai.provider.name': 'fake' },
    { msg: 'not kept warm', name: 'app', target: 'main', reason: 'quota', 'error.type': 'quota' },
  ])
  for (const line of pings) expect(keysOf(line)).toEqual([...new Set(keysOf(line))])
})

test('what a server says as id and model of an answer is logged only if it is like one', async ({ server }) => {
  const said = [
    { id: 'chatcmpl-7', model: 'org/served-1' },
    { id: 'PROMPT of a user', model: 'PROMPT of a user' },
    { id: 'i'.repeat(100_000), model: 'm'.repeat(100_000) },
  ]
  const { baseURL } = await server(said.map(names => answer(['No JSON.'], names)))
  const { logger, lines } = logging()
  const client = createClient({ chain: [deepseek({ baseURL, apiKey: 'sk-test', retry: 0 })], logger, breaker: false })
  onTestFinished(async () => client.close())
  const records = []
  for (const { id, model } of said) {
    const error: unknown = await client.generate({ prompt: 'Hi', output: z.number() }).catch((thrown: unknown) => thrown)
    if (ChainExhaustedError.isInstance(error)) records.push(...error.attempts)
    expect(lines.join('').length, `${id.slice(0, 9)} ${model.slice(0, 9)}`).toBeLessThan(20_000)
  }
  expect(records.map(({ responseId, responseModel }) => [responseId, responseModel])).toEqual([
    ['chatcmpl-7', 'org/served-1'],
    [undefined, undefined],
    [undefined, undefined],
  ])
  expect(lines.join('')).toContain('"responseModel":"org/served-1"')
  expect(lines.join('')).not.toContain('PROMPT')
})

test('a bug of a provider is logged by its name, which its message is not', async ({ clock }) => {
  const { logger, lines } = logging()
  const client = createClient({ chain: [fakeTarget({ error: new RangeError('PROMPT') }, { clock })], clock, logger })
  await expect(clock.until(client.generate('Hi'))).rejects.toThrow('PROMPT')
  const call = lines.find(line => line.includes('no target answered'))
  expect(JSON.parse(call ?? '')).toMatchObject({ level: 40, outcome: 'failed', 'error.type': 'RangeError' })
  expect(lines.join('')).not.toContain('PROMPT')
})

test('a line is written inside of what a part puts around its event', async ({ server }) => {
  const { baseURL } = await server([status(503), answer(['Hello.'])])
  const span = new AsyncLocalStorage<string>()
  const lines: string[] = []
  const write = (_: object, message: string) => void lines.push(`${span.getStore()}: ${message}`)
  const client = createClient({
    chain: [deepseek({ baseURL, apiKey: 'sk-test' })],
    logger: { debug: () => {}, info: write, warn: write },
    telemetry: [
      { aroundEvent: (event, tell) => span.run(event.type, tell) },
      {
        aroundEvent: () => {
          throw new Error('a bug in a part')
        },
      },
      { aroundEvent: (_, tell) => (tell(), tell()) },
    ],
  })
  onTestFinished(async () => client.close())
  await client.generate('Hi')
  expect(lines).toEqual(['attempt-end: attempt failed', 'call-end: call answered'])
})
