import { expect } from 'vitest'
import { abandonAttempt, abandoned } from '../../../src/chain/attempt.ts'
import type { ProviderEvent } from '../../../src/contract.ts'
import { ProviderError } from '../../../src/errors.ts'
import { fakeTarget } from '../../../src/testing/index.ts'
import { attemptAt, openAttempt as open } from '../../helpers/one-attempt.ts'
import { test } from '../../helpers/vitest.ts'

const text = (of: string): ProviderEvent => ({ type: 'text-delta', text: of })
const broken = new ProviderError('Broken.', { reason: 'network' })

test('the first content decides the race: who loses it is abandoned, and its content is nobody’s', async ({ clock }) => {
  await clock.advance(100)
  const lost = open(clock, { claim: () => false })
  await clock.advance(40)
  expect(lost.emit(text('late'))).toBe(true)
  expect(await lost.over).toBe(abandoned)
  expect([lost.folded, lost.firstChunks, lost.records[0]?.firstChunkMs]).toEqual([[], [40], 40])
  expect(lost.signal.reason).toBe(abandoned)
})

test('an empty delta is no content, but what the service requires back with it is kept, under its name', ({ clock }) => {
  const { emit, folded, firstChunks } = open(clock)
  emit(text(''))
  emit({ type: 'reasoning-delta', text: '' })
  emit({ type: 'reasoning-delta', text: '', providerMetadata: { signature: 's' } })
  expect([folded.length, firstChunks]).toEqual([1, []])
  emit({ type: 'reasoning-delta', text: 'so' })
  emit({ type: 'tool-call', toolCallId: 'c1', toolName: 'weather', input: {}, providerMetadata: { signature: 't' } })
  emit({ type: 'tool-call-delta', toolCallId: 'c1', toolName: 'weather', inputText: '{}' })
  expect(folded).toEqual([
    { type: 'reasoning-delta', text: '', providerMetadata: { own: { signature: 's' } } },
    { type: 'reasoning-delta', text: 'so' },
    { ...{ type: 'tool-call', toolCallId: 'c1', toolName: 'weather', input: {} }, providerMetadata: { own: { signature: 't' } } },
    { type: 'tool-call-delta', toolCallId: 'c1', toolName: 'weather', inputText: '{}' },
  ])
})

test('the record has the ids that came last, and a warning changes none of them', async ({ clock }) => {
  const one = open(clock)
  one.emit({ type: 'response-metadata', id: 'id1', model: 'm-1', requestId: 'r1' })
  one.emit({ type: 'warning', setting: 'seed', message: 'It has no seed.' })
  one.emit({ type: 'response-metadata', id: undefined, model: 'm-2', requestId: undefined })
  expect(one.folded.map(({ type }) => type)).toEqual(['response-metadata', 'warning', 'response-metadata'])
  one.done.reject(broken)
  await one.over
  expect(one.records[0]).toMatchObject({ responseId: 'id1', responseModel: 'm-2', requestId: 'r1' })
})

test('an answer in one piece gets the longer clocks that its provider asks for, and that sends nothing', async ({ clock }) => {
  const patient = open(clock)
  patient.emit({ type: 'connecting' })
  patient.emit({ type: 'patience', timeout: { firstChunkMs: 90_000 } })
  await clock.advance(4_999)
  patient.done.reject(broken)
  await patient.over
  expect(patient.finished).toEqual([false])
  const silent = open(clock)
  silent.emit({ type: 'patience', timeout: { firstChunkMs: 90_000 } })
  const startedAt = clock.now()
  expect(await clock.until(silent.over)).toMatchObject({ clock: 'firstChunk' })
  expect(clock.now() - startedAt).toBe(90_000)
})

test('a queue is told once, and no more when content has come; each request has its own start and end', ({ clock }) => {
  const { emit, told, run } = open(clock)
  const failure = new ProviderError('Not so.', { reason: 'invalid-request' })
  for (let keepAlive = 0; keepAlive < 3; keepAlive += 1) emit({ type: 'queued' })
  emit({ type: 'asked-again', failure })
  emit({ type: 'queued' })
  emit(text('a'))
  emit({ type: 'asked-again', failure })
  emit({ type: 'queued' })
  abandonAttempt(run, undefined)
  const [queued, answering] = [
    ['attempt-start', 'attempt-queued', 'attempt-end'],
    ['attempt-start', 'attempt-end'],
  ]
  expect(told.map(({ type }) => type)).toEqual([...queued, ...queued, ...answering])
})

test('a changed request has its own time to begin', async ({ clock }) => {
  const { emit, over } = open(clock, { permit: { usage: undefined }, tell: undefined })
  await clock.advance(15_000)
  emit({ type: 'asked-again', failure: new ProviderError('Not so.', { reason: 'invalid-request' }) })
  expect(await clock.until(over)).toMatchObject({ clock: 'firstChunk' })
  expect(clock.now()).toBe(35_000)
})

test('a changed request that may not be sent is a failure: that of the request before it', async ({ clock }) => {
  const usage = { inputTokens: 3, outputTokens: 0 }
  const failure = new ProviderError('Not so.', { reason: 'invalid-request', status: 400, usage })
  const { emit, over, records } = open(clock, { admitRepeat: () => undefined })
  emit({ type: 'asked-again', failure })
  expect(await over).toMatchObject({ message: 'Not so.', reason: 'invalid-request', status: 400, provider: 'own' })
  expect(records).toMatchObject([{ attempt: 1, outcome: 'failed', usage }])
})

test('telemetry gets the answer with the request that it belongs to', async ({ clock }) => {
  const seen: unknown[] = []
  const onAnswer = (of: { attempt: number }, answer: unknown) => void seen.push([of.attempt, answer])
  const telemetry = { around: undefined, headers: undefined, onAnswer } as never
  const observers = { activity: { attempted: () => {} }, telemetry }
  const { over } = attemptAt(clock, fakeTarget('Hello.', { clock }).provider, { attempt: 3, target: { observers } })
  await clock.until(over)
  expect(seen).toEqual([[3, { text: 'answer' }]])
})
