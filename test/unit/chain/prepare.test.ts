import { expect } from 'vitest'
import type { Fold } from '../../../src/answer/answer.ts'
import { abandoned } from '../../../src/chain/attempt.ts'
import { preparedCall } from '../../../src/chain/prepare.ts'
import type { Candidate, ChainTarget, Leg, Walk } from '../../../src/chain/state.ts'
import type { Call } from '../../../src/contract.ts'
import { ProviderError } from '../../../src/errors.ts'
import { test } from '../../helpers/vitest.ts'

type Given = {
  readonly prepare?: (call: Call) => Partial<Call> | undefined
  readonly fold?: Partial<Fold>
  readonly refuse?: ChainTarget['provider']['refuse']
  readonly health?: Partial<ChainTarget['health']>
  readonly call?: Partial<Call>
}

function prepared({ prepare = () => ({}), fold, refuse, health, call: given }: Given) {
  const call: Call = { model: '', messages: [{ role: 'user', content: 'Why?' }], metadata: {}, ...given }
  const target = { provider: { name: 'own', refuse }, model: 'm', prepare, health: { refuse: () => undefined, ...health } }
  const leg = { candidate: { target: target as unknown as ChainTarget } as Candidate } as Leg
  const walk = { call } as Walk
  return { leg, call, result: preparedCall(walk, leg, { overrides: undefined, ...fold } as Fold) }
}

test('`prepare` gets the call of the attempt, with the model of the target, and its changes come last', () => {
  const seen: Call[] = []
  const prepare = (call: Call) => {
    seen.push(call)
    return { temperature: 0 }
  }
  const prefix = { text: 'So far', reasoningText: '' }
  const { result } = prepared({ prepare, call: { temperature: 1, seed: 3 }, fold: { overrides: { prefix } } })
  expect(seen).toMatchObject([{ model: 'm', temperature: 1, seed: 3, prefix }])
  expect(result).toMatchObject({ model: 'm', temperature: 0, seed: 3, prefix })
  expect(prepared({ prepare: () => undefined, call: { seed: 3 } }).result).toMatchObject({ model: 'm', seed: 3 })
})

test('a `prepare` that changes its messages changes those of no other target', () => {
  const prepare = ({ messages }: Call) => {
    const own = messages as Call['messages'][number][]
    own.push({ role: 'user', content: 'more' })
    return { messages: own }
  }
  const { call, result } = prepared({ prepare })
  expect([call.messages.length, result?.messages.length]).toEqual([1, 2])
})

test('the limit of `prepare` is for the whole answer: a continuation has what is left of it', () => {
  const prefix = { text: 'So far', reasoningText: '' }
  const limit = (of: number | undefined, given: Given) =>
    prepared({ ...(of !== undefined && { prepare: () => ({ maxOutputTokens: of }) }), ...given }).result?.maxOutputTokens
  const continued = { overrides: { prefix }, tokensBefore: 30 }
  expect(limit(100, { fold: continued })).toBe(70)
  expect(limit(20, { fold: continued })).toBe(1)
  expect(limit(100, { fold: { overrides: { prefix } } })).toBe(100)
  // the call has a limit of its own, which the continuation has counted down already
  expect(limit(100, { fold: { ...continued, overrides: { prefix, maxOutputTokens: 5 } } })).toBe(5)
  expect(limit(undefined, { fold: { ...continued, overrides: { prefix, maxOutputTokens: 5 } } })).toBe(5)
  // a first request, and a repair, begin anew
  expect(limit(100, { call: { maxOutputTokens: 50 } })).toBe(100)
  expect(limit(100, { fold: { overrides: { messages: [] }, tokensBefore: 30 }, call: { maxOutputTokens: 50 } })).toBe(100)
})

test.for([
  [99, 1],
  [100, undefined],
])(
  'a target that has answered goes on while its limit of `prepare` has a token left: %i of 100 are used',
  ([tokensBefore, left]) => {
    const call: Call = { model: '', messages: [], metadata: {} }
    const health = { refuse: () => undefined }
    const target = { provider: { name: 'own' }, model: 'm', prepare: () => ({ maxOutputTokens: 100 }), health }
    const leg = { candidate: { target: target as unknown as ChainTarget } as Candidate, answeredBy: 1 } as Leg
    const fold = { overrides: { prefix: { text: 'So far', reasoningText: '' } }, tokensBefore } as Fold
    expect(preparedCall({ call } as Walk, leg, fold)?.maxOutputTokens).toBe(left)
  },
)

test('a call that its target cannot take is refused when it is prepared, by the provider or by its limits', () => {
  const cause = new ProviderError('Too long.', { reason: 'invalid-request' })
  const byProvider = prepared({ prepare: () => ({ seed: 3 }), refuse: ({ seed }) => (seed === 3 ? cause : undefined) })
  expect([byProvider.result, byProvider.leg.thrown, byProvider.leg.candidate.refusal]).toEqual([undefined, abandoned, cause])
  const byLimits = prepared({ health: { refuse: () => cause } })
  expect([byLimits.result, byLimits.leg.candidate.refusal]).toEqual([undefined, cause])
})

test('what `prepare` throws is the error of the leg, and no refusal of the target', () => {
  const bug = new Error('a bug')
  const prepare = () => {
    throw bug
  }
  const { leg, result } = prepared({ prepare })
  expect([result, leg.thrown, leg.candidate.refusal]).toEqual([undefined, bug, undefined])
})
