import { expectTypeOf, test } from 'vitest'
import { createClient, ProviderError } from 'unbusy'
import type { FailureReason, Provider } from 'unbusy'

test('a provider of one’s own needs a name and a stream, and a step of the chain is a plain object', () => {
  const parrot: Provider = {
    name: 'parrot',
    async stream(call, { emit }) {
      expectTypeOf(call.model).toEqualTypeOf<string>()
      emit({ type: 'text-delta', text: call.messages.length.toString() })
      emit({ type: 'finish', finishReason: 'stop' })
    },
  }
  createClient({ chain: [{ provider: parrot, model: 'grey', retry: 0, timeout: { totalMs: 100 } }] })
  // @ts-expect-error a step names its model
  createClient({ chain: [{ provider: parrot }] })
})

test('only events of the contract can be emitted', () => {
  const provider: Provider = {
    name: 'wrong',
    async stream(_call, { emit }) {
      // @ts-expect-error a delta has a text
      emit({ type: 'text-delta' })
      // @ts-expect-error the reasons to finish are a closed list
      emit({ type: 'finish', finishReason: 'done' })
    },
  }
  expectTypeOf(provider.name).toEqualTypeOf<string>()
})

test('an error takes part in the policy by its reason', () => {
  expectTypeOf(new ProviderError('full', { reason: 'overloaded', retryAfterMs: 500 }).reason).toEqualTypeOf<FailureReason>()
  // @ts-expect-error a reason without a rule
  void new ProviderError('?', { reason: 'tired' })
  // @ts-expect-error without a reason nothing can be decided
  void new ProviderError('?', {})
})
