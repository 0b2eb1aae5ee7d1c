import type { Provider } from '../contract.ts'
import { ProviderError } from '../errors.ts'

/**
 * One server that listens at either of two addresses, because a new version of it moved. Where nobody listens at the first, the other
 * is asked at once; where somebody was found, that one is asked first from then on. Nobody else's answer is a reason to go on: whoever
 * listens there may have read the prompt.
 */
export function eitherAddress(usual: Provider, moved: Provider): Provider {
  let order: readonly [Provider, Provider] = [usual, moved]

  const ask = async <Value>(work: (provider: Provider) => Promise<Value>, signal: AbortSignal): Promise<Value> => {
    const [first, second] = order
    try {
      return await work(first)
    } catch (error) {
      if (!isRefused(error) || signal.aborted) throw error
      try {
        const value = await work(second)
        order = [second, first]
        return value
      } catch (other) {
        if (isRefused(other)) throw nobody([first, second], error)
        order = [second, first]
        throw other
      }
    }
  }

  return {
    ...usual,
    stream: (call, attempt) => ask(provider => provider.stream(call, attempt), attempt.signal),
    load: signal => ask(provider => loadOf(provider, signal), signal),
    check: () => usual.check?.(),
    async close() {
      await Promise.all([usual.close?.(), moved.close?.()])
    },
  }
}

function loadOf({ name, load }: Provider, signal: AbortSignal): ReturnType<NonNullable<Provider['load']>> {
  return load?.(signal) ?? Promise.reject(new ProviderError(`${name} does not tell its load.`, { reason: 'invalid-request' }))
}

/** The connection was refused, so nothing was sent. */
function isRefused(error: unknown): boolean {
  const { cause } = ProviderError.isInstance(error) ? error : {}
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED'
}

function nobody(providers: readonly Provider[], cause: unknown): ProviderError {
  const where = providers.map(({ identity }) => identity?.origin).join(' nor at ')
  return new ProviderError(`Nobody listens at ${where}: is the server running? Another address is the option baseURL.`, {
    reason: 'network',
    cause,
  })
}
