import { expect } from 'vitest'
import type { Call, Provider } from '../../../src/contract.ts'
import type { FullAttempt, Telemetry } from '../../../src/telemetry/telemetry.ts'
import { type FakeClock, fakeTarget } from '../../../src/testing/index.ts'
import { attemptAt, type Given } from '../../helpers/one-attempt.ts'
import { test } from '../../helpers/vitest.ts'

const answering = (clock: FakeClock, of: Partial<Provider> = {}): Provider => ({
  ...fakeTarget('Hello.', { clock }).provider,
  ...of,
})

test('the start of a request is told with its settings and the address, and without the prompt', async ({ clock }) => {
  await clock.advance(60)
  const set = { temperature: 0.5, topP: 0.9, maxOutputTokens: 7, stopSequences: ['.'], seed: 3, reasoning: 'off' as const }
  const call = { model: 'm', messages: [{ role: 'user', content: 'A secret.' } as const], metadata: {}, ...set }
  const start = async (given: Given, of?: Partial<Provider>) => {
    const { told, over } = attemptAt(clock, answering(clock, of), given)
    await clock.until(over)
    return told[0]
  }
  const identity = { origin: 'https://api.example', credential: 'k' }
  expect(await start({ call, attempt: 2, kind: 'retry' }, { identity })).toEqual({
    ...{ type: 'attempt-start', at: 60, callId: 7, attempt: 2, kind: 'retry' },
    ...{ provider: 'fake', model: 'm', name: 'first', targetIndex: 3, step: 2 },
    ...{ address: 'api.example', port: 443, stream: true, settings: { ...set, outputType: 'text' } },
  })
  const typed = { ...call, output: { type: 'json', schema: {} } } as Call
  expect(await start({ call: typed }, { capabilities: { stream: false } })).toMatchObject({
    ...{ address: undefined, port: undefined, stream: false, settings: { outputType: 'json' } },
  })
})

test('the address is the host and the port of the origin, which may be any text', async ({ clock }) => {
  const address = async (origin: string) => {
    const { told, over } = attemptAt(clock, answering(clock, { identity: { origin, credential: 'k' } }))
    await clock.until(over)
    return told[0]
  }
  expect(await address('https://api.example')).toMatchObject({ address: 'api.example', port: 443 })
  expect(await address('http://api.example')).toMatchObject({ address: 'api.example', port: 80 })
  expect(await address('http://api.example:8080')).toMatchObject({ address: 'api.example', port: 8080 })
  expect(await address('https://[::1]:8443')).toMatchObject({ address: '::1', port: 8443 })
  for (const origin of ['', 'our own service', 'file:///models/m'])
    expect(await address(origin)).toMatchObject({ address: undefined, port: undefined })
})

test('the address of a provider is taken apart once, however many requests it gets', async ({ clock }) => {
  let reads = 0
  const provider: Provider = {
    ...answering(clock),
    get identity() {
      reads += 1
      return { origin: 'http://a.example', credential: 'k' }
    },
  }
  for (let request = 0; request < 3; request += 1) await clock.until(attemptAt(clock, provider).over)
  expect(reads).toBe(1)
})

test('telemetry wraps a request, and gives it headers when it is sent', async ({ clock }) => {
  const seen: string[] = []
  const stream: Provider['stream'] = async (_call, { emit, headers }) => {
    seen.push(`sent with ${JSON.stringify(headers)}`)
    emit({ type: 'finish', finishReason: 'stop', usage: {} })
  }
  const around: Telemetry['around'] = async ({ attempt }, run) => {
    seen.push(`before ${attempt}`)
    await run()
    seen.push('after')
  }
  const headers = ({ attempt, kind }: FullAttempt) => ({ 'x-attempt': `${attempt} ${kind}` })
  const runs: readonly Partial<Telemetry>[] = [{ around, headers }, { around }, { headers }, {}]
  for (const parts of runs) {
    const telemetry = { around: undefined, headers: undefined, onAnswer: undefined, ...parts } as Telemetry
    const observers = { activity: { attempted: () => {} }, telemetry }
    expect(await attemptAt(clock, stream, { target: { observers } }).over).toMatchObject({ text: 'answer' })
    await Promise.resolve()
  }
  const wrapped = (line: string) => ['before 1', line, 'after']
  const withHeaders = 'sent with {"x-attempt":"1 first"}'
  expect(seen).toEqual([...wrapped(withHeaders), ...wrapped('sent with undefined'), withHeaders, 'sent with undefined'])
})
