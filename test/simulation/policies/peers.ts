import { ProviderError } from '../../../src/errors.ts'
import type { CallerOptions, Policy, Step } from '../policy.ts'
import { createAsk, type Ask } from './ask.ts'

/** How long a peer waits before it asks again; undefined: it gives up. `retry` counts from 0. */
type Delay = (error: ProviderError, retry: number, random: () => number) => number | undefined

const retries = 2
const longestObeyedMs = 60_000

/** Retry-After up to 60 s, else 0.5 s doubled up to 8 s, less up to a quarter. */
const openaiDelay: Delay = (error, retry, random) => {
  if (retry >= retries || !isAskedAgain(error)) return undefined
  return obeyed(error) ?? Math.min(8000, 500 * 2 ** retry) * (1 - random() * 0.25)
}

/** Retry-After up to 60 s, else exactly 2 s and 4 s. */
const aiDelay: Delay = (error, retry) => {
  if (retry >= retries || !isAskedAgain(error)) return undefined
  return obeyed(error) ?? 2000 * 2 ** retry
}

const never: Delay = () => undefined

function obeyed({ retryAfterMs }: ProviderError): number | undefined {
  return retryAfterMs !== undefined && retryAfterMs <= longestObeyedMs ? retryAfterMs : undefined
}

/** What broke before the answer began. What breaks later is handed to the caller. */
function isAskedAgain({ reason }: ProviderError): boolean {
  return reason !== 'truncated'
}

export const openaiSdk: Policy = peer('openai SDK', context => first(context, openaiDelay))
export const openaiSdkWithTimeout: Policy = peer('openai SDK, timeout 20 s', context => first(context, openaiDelay), 20_000)
export const aiSdk: Policy = peer('AI SDK', context => first(context, aiDelay))
export const chainOfOpenaiSdks: Policy = peer('chain of openai SDKs', context => inOrder(context, openaiDelay))
export const chainOfOpenaiSdksWithTimeout: Policy = peer(
  'chain of openai SDKs, timeout 20 s',
  context => inOrder(context, openaiDelay),
  20_000,
)
export const aiFallback: Policy = peer('ai-fallback', sharedIndex)

export const peers: readonly Policy[] = [
  openaiSdk,
  openaiSdkWithTimeout,
  aiSdk,
  chainOfOpenaiSdks,
  chainOfOpenaiSdksWithTimeout,
  aiFallback,
]

type Context = CallerOptions & { readonly ask: Ask }
type Generate = (number: number) => Promise<string>

function peer(name: string, createGenerate: (context: Context) => Generate, timeoutMs?: number): Policy {
  return {
    name,
    hasDeadline: false,
    isFailure: error => ProviderError.isInstance(error),
    create(options) {
      const watch = { inFlight: 0 }
      const generate = createGenerate({ ...options, ask: createAsk({ clock: options.clock, timeoutMs, watch }) })
      return {
        generate: ({ number }) => generate(number),
        inFlight: () => watch.inFlight,
        close: () => Promise.resolve(),
      }
    },
  }
}

function first(context: Context, delay: Delay): Generate {
  const [step] = context.chain
  return number => again(context, { step: step as Step, number, delay })
}

/** The next target whatever went wrong: the best that can be built from SDKs alone. */
function inOrder(context: Context, delay: Delay): Generate {
  return async number => {
    let failure: unknown
    for (const step of context.chain) {
      try {
        return await again(context, { step, number, delay })
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }
}

async function again(
  { ask, clock, random }: Context,
  { step, number, delay }: { step: Step; number: number; delay: Delay },
): Promise<string> {
  for (let retry = 0; ; retry++) {
    try {
      return await ask(step, number)
    } catch (error) {
      if (!ProviderError.isInstance(error)) throw error
      const waitMs = delay(error, retry, random)
      if (waitMs === undefined) throw error
      await new Promise<void>(resolve => void clock.setTimeout(resolve, waitMs))
    }
  }
}

const resetMs = 180_000

/** One index for all calls, turned by every call that fails; it gives up when the index has come round to 0. */
function sharedIndex(context: Context): Generate {
  const { chain, clock } = context
  let index = 0
  let lastReset = clock.now()
  return async number => {
    if (index !== 0 && clock.now() - lastReset >= resetMs) {
      index = 0
      lastReset = clock.now()
    }
    for (;;) {
      try {
        return await again(context, { step: chain[index] as Step, number, delay: never })
      } catch (error) {
        index = (index + 1) % chain.length
        if (index === 0) throw error
      }
    }
  }
}
