import { setTimeout } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { describe, expect, test } from 'vitest'
import type { Attempt, Call } from '../../../src/contract.ts'
import type { FailureReason } from '../../../src/contract-failures.ts'
import type { Target } from '../../../src/contract-targets.ts'
import { ProviderError } from '../../../src/errors.ts'
import { openaiCompatible } from '../../../src/providers/openai-compatible.ts'
import { fakeTarget, providerContract, testProvider } from '../../../src/testing/index.ts'
import type { ContractCase, ContractOptions, ContractServer, PromiseName, WireFormat } from '../../../src/testing/index.ts'
import { wireFormatOf } from '../../../src/testing/wire/wire-formats.ts'

/** What a provider can do wrong. */
type Flaw =
  | 'finishes twice'
  | 'goes on after the finish'
  | 'takes the end for a finish'
  | 'throws what the transport threw'
  | 'ignores the signal'
  | 'ignores the reader'
  | 'is silent about the queue'
  | 'forgets Retry-After'
  | 'quotes the key'
  | 'decodes every read by itself'
  | 'shares its state'
  | 'skips what is no JSON'
  | 'takes an error for an end'
  | 'calls everything a server error'
  | 'invents usage'
  | 'does not parse tool calls'
  | 'hears nothing behind the finish'
  | 'waits for the end of the body'
  | 'has no time of its own'
  | 'loses what is whole'
  | 'loses the state of a call'

const reasons: Record<number, FailureReason> = {
  401: 'authentication',
  402: 'quota',
  404: 'not-found',
  422: 'invalid-request',
  429: 'rate-limit',
  503: 'overloaded',
}

type ToolCallDelta = { id?: string; function: { name?: string; arguments: string }; extra_content?: object }
type Delta = { content?: string | null; tool_calls?: ToolCallDelta[] }
type Chunk = {
  error?: unknown
  choices?: { delta: Delta; finish_reason: string | null }[]
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number } | null
}

/** A provider for chat completions that was written without our own transport and decoder, with at most one flaw. */
function referenceProvider({ baseURL, apiKey }: ContractServer, flaw?: Flaw): Target {
  const agent = new Agent()
  const fresh = () => ({
    toolCall: { id: '', name: '', text: '', extra: undefined as object | undefined },
    finish: '',
    usage: undefined as Chunk['usage'],
    isOver: false,
  })
  const shared = fresh()

  async function stream(call: Call, { emit, onDrain, signal, linger }: Attempt): Promise<void> {
    signal.throwIfAborted()
    const state = flaw === 'shares its state' ? shared : fresh()
    const response = await request(`${baseURL}/chat/completions`, {
      method: 'POST',
      dispatcher: agent,
      headers: { authorization: `Bearer ${apiKey}`, 'accept-encoding': 'identity' },
      body: JSON.stringify({
        model: call.model,
        messages: messagesOf(call),
        stream: true,
        stream_options: { include_usage: true },
      }),
      ...(flaw === 'ignores the signal' ? {} : { signal }),
    })
    emit({ type: 'headers', status: response.statusCode, headers: response.headers })
    if (response.statusCode !== 200)
      throw failureOf(response.statusCode, response.headers['retry-after'], await response.body.text())

    const say = async (event: Parameters<Attempt['emit']>[0]): Promise<void> => {
      if (!emit(event) && flaw !== 'ignores the reader') await new Promise<void>(resolve => onDrain(resolve))
    }
    const decoder = new TextDecoder()
    let rest = ''
    const conclude = (): void => {
      if (state.isOver && flaw !== 'shares its state') return
      state.isOver = true
      if (flaw === 'takes an error for an end' || flaw === 'takes the end for a finish') state.finish = 'stop'
      if (state.finish === '') throw new ProviderError('The answer broke off.', { reason: 'truncated', status: 200 })
      const { toolCall, usage } = state
      if (toolCall.name !== '') {
        const input: unknown = flaw === 'does not parse tool calls' ? toolCall.text : JSON.parse(toolCall.text)
        const wanted = toolCall.extra === undefined ? undefined : { providerMetadata: { extra_content: toolCall.extra } }
        emit({ type: 'tool-call', toolCallId: toolCall.id, toolName: toolCall.name, input, ...wanted })
      }
      const figures =
        usage === undefined || usage === null
          ? undefined
          : { inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens }
      const finish = {
        type: 'finish',
        finishReason: state.finish === 'length' ? 'length' : toolCall.name === '' ? 'stop' : 'tool-calls',
        usage: figures ?? (flaw === 'invents usage' ? { inputTokens: 0 } : undefined),
      } as const
      emit(finish)
      if (flaw === 'finishes twice') emit(finish)
      if (flaw === 'goes on after the finish') emit({ type: 'response-metadata', id: 'late' })
    }
    try {
      for await (const bytes of response.body as AsyncIterable<Buffer>) {
        const lines = (
          rest + (flaw === 'decodes every read by itself' ? bytes.toString() : decoder.decode(bytes, { stream: true }))
        ).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) {
          if (line.startsWith(':') && flaw !== 'is silent about the queue') emit({ type: 'queued' })
          if (line === 'data: [DONE]' && flaw !== 'waits for the end of the body') return conclude()
          if (!line.startsWith('data: ') || line === 'data: [DONE]') continue
          const chunk = parsed(line.slice(6))
          if (chunk === undefined) continue
          if (chunk.error !== undefined && flaw !== 'takes an error for an end')
            throw new ProviderError('The service failed in the middle of its answer.', { reason: 'overloaded', status: 200 })
          const [choice] = chunk.choices ?? []
          const wasOver = state.finish !== ''
          state.finish = choice?.finish_reason ?? state.finish
          if (state.finish !== '' && flaw !== 'has no time of its own') linger?.(conclude, 100)
          state.usage = chunk.usage ?? state.usage
          if (flaw === 'shares its state') await setTimeout(1)
          const [toolCall] = choice?.delta.tool_calls ?? []
          if (toolCall !== undefined) {
            state.toolCall = {
              id: toolCall.id ?? state.toolCall.id,
              name: toolCall.function.name ?? state.toolCall.name,
              text: state.toolCall.text + toolCall.function.arguments,
              extra: toolCall.extra_content ?? state.toolCall.extra,
            }
          }
          const text = flaw === 'hears nothing behind the finish' && wasOver ? '' : (choice?.delta.content ?? '')
          if (text !== '') await say({ type: 'text-delta', text: flaw === 'shares its state' ? text + shared.finish : text })
        }
      }
    } catch (error) {
      if (state.finish === '' || ProviderError.isInstance(error) || flaw === 'loses what is whole') throw error
    }
    conclude()
  }

  function messagesOf({ messages }: Call): readonly unknown[] {
    return messages.map(message => {
      if (message.role !== 'assistant') return message
      const toolCalls = message.toolCalls?.map(({ toolCallId, toolName, input, providerMetadata }) => ({
        ...{ id: toolCallId, type: 'function', function: { name: toolName, arguments: JSON.stringify(input) } },
        ...(flaw === 'loses the state of a call' ? undefined : providerMetadata),
      }))
      return { role: 'assistant', content: message.content, tool_calls: toolCalls }
    })
  }

  function parsed(data: string): Chunk | undefined {
    try {
      return JSON.parse(data) as Chunk
    } catch (cause) {
      if (flaw === 'skips what is no JSON') return undefined
      throw new ProviderError('The service sent something that is no JSON.', { reason: 'malformed-response', status: 200, cause })
    }
  }

  function failureOf(status: number, retryAfter: unknown, body: string): ProviderError {
    return new ProviderError(flaw === 'quotes the key' ? body : `The service answered ${status}.`, {
      reason: flaw === 'calls everything a server error' ? 'server-error' : (reasons[status] ?? 'server-error'),
      status,
      retryAfterMs: flaw === 'forgets Retry-After' || retryAfter === undefined ? undefined : Number(retryAfter) * 1_000,
    })
  }

  return {
    model: 'reference-1',
    provider: {
      name: 'reference',
      async stream(call, attempt) {
        try {
          await stream(call, attempt)
        } catch (error) {
          if (attempt.signal.aborted) throw attempt.signal.reason
          if (ProviderError.isInstance(error) || flaw === 'throws what the transport threw') throw error
          throw new ProviderError('The connection failed.', { reason: 'network', cause: error })
        }
      },
    },
  }
}

const notForReference: { readonly [promise in PromiseName]?: string } = {
  compressed: 'It asks for no compression and trusts that it gets none.',
}

/** Of flaws that never come to an end. */
const timeouts: { readonly [flaw in Flaw]?: number } = {
  'ignores the signal': 700,
  'waits for the end of the body': 1_500,
  'has no time of its own': 1_500,
}

function casesFor(flaw?: Flaw): readonly ContractCase[] {
  return providerContract(server => referenceProvider(server, flaw), {
    format: 'openai',
    skip: notForReference,
    timeoutMs: timeouts[flaw ?? 'finishes twice'] ?? 8_000,
  })
}

async function outcomeOf(promise: PromiseName, flaw?: Flaw): Promise<string> {
  const found = casesFor(flaw).find(one => one.promise === promise)
  return found === undefined
    ? 'no such promise'
    : found.run().then(
        () => 'kept',
        (error: unknown) => String(error),
      )
}

describe('a provider without a flaw keeps the promise:', () => {
  const cases = providerContract(server => referenceProvider(server), { format: 'openai', skip: notForReference })
  for (const { name, run } of cases.filter(({ skip }) => skip === undefined)) {
    test(`it ${name}`, async () => {
      await expect(run()).resolves.toBeUndefined()
    })
  }
})

test.for([
  ['finishes twice', 'finish', 'exactly one finish'],
  ['goes on after the finish', 'finish', 'must be the last event'],
  ['takes the end for a finish', 'cut by end', 'although the answer was not complete'],
  ['takes the end for a finish', 'blank body', 'although the answer was not complete'],
  ['throws what the transport threw', 'no connection', 'must reject with a ProviderError'],
  ['throws what the transport threw', 'cut by rst', 'must reject with a ProviderError'],
  ['ignores the signal', 'abort before headers', 'did not end within 700 ms'],
  ['ignores the signal', 'abort while queued', 'did not end within 700 ms'],
  ['ignores the signal', 'abort in the answer', 'did not end within 700 ms'],
  ['ignores the reader', 'back pressure', 'emitted the whole answer although the reader was behind'],
  ['is silent about the queue', 'queue', 'must be emitted as `queued`'],
  ['forgets Retry-After', 'retry after', '7000'],
  ['quotes the key', 'key', 'The key is in the error or the events'],
  ['decodes every read by itself', 'split', '\u{fffd}'],
  ['shares its state', 'parallel', 'You said marker'],
  ['skips what is no JSON', 'malformed chunk', 'although the answer was not complete'],
  ['takes an error for an end', 'in-band error', 'although the answer was not complete'],
  ['calls everything a server error', 'status 401', 'The reason is server-error'],
  ['calls everything a server error', 'status 429', 'The reason is server-error'],
  ['invents usage', 'unreported', 'never 0'],
  ['does not parse tool calls', 'tool calls', 'Köln'],
  ['loses the state of a call', 'state', 'It must send the providerMetadata of the tool call back'],
  ['hears nothing behind the finish', 'content behind finish', 'Content after a finish reason belongs to the answer'],
  ['waits for the end of the body', 'open end', 'did not end within 1500 ms'],
  ['has no time of its own', 'silent end', 'did not end within 1500 ms'],
  ['loses what is whole', 'lost end', 'What is lost after the finish reason is not part of the answer'],
] as const)('a provider that %s breaks the promise "%s"', async ([flaw, promise, complaint]) => {
  expect(await outcomeOf(promise, flaw)).toContain(complaint)
  expect(await outcomeOf(promise)).toBe('kept')
})

test('a case that hangs leaves nothing open and is told with its time', async () => {
  const never = fakeTarget({ hang: true })
  const cases = providerContract(() => never, { format: 'openai', timeoutMs: 30 })
  await expect(cases[0]?.run()).rejects.toThrow('did not end within 30 ms')
  expect(never.provider.active()).toBe(0)
})

test.each([
  ['names it in words in its body', (waitMs: number) => `Slow down, please try again in ${waitMs / 1_000}s.`, 'kept'],
  ['forgets the time that it is told', () => 'Slow down.', '7000'],
])(
  'the suite tells a format which time to name, and one that %s is served so, without the header',
  async (_, wordsOf, outcome) => {
    const openai = wireFormatOf('openai')
    const format: WireFormat = {
      ...openai,
      retryAfterIn: 'body',
      error: (code, asked, retryAfterMs) =>
        retryAfterMs === undefined ? openai.error(code, asked) : { error: { message: wordsOf(retryAfterMs), code } },
    }
    const cases = providerContract(server => openaiCompatible('r1', server), { format })
    const promised = cases.find(({ promise }) => promise === 'retry after')
    const found = await promised?.run().then(
      () => 'kept',
      (error: unknown) => String(error),
    )
    expect(found).toContain(outcome)
  },
)

test('a skip carries its reason in the name and runs nothing', async () => {
  const target = fakeTarget('Hi')
  const cases = providerContract(() => target, { format: 'openai', skip: { usage: 'The service reports none.' } })
  const usage = cases.find(({ promise }) => promise === 'usage')
  expect(usage).toMatchObject({
    skip: 'The service reports none.',
    name: 'emits the usage that the service reported (skipped: The service reports none.)',
  })
  await usage?.run()
  expect(target.provider.calls).toEqual([])
})

test('what a provider declares it cannot do is skipped with that reason', () => {
  const cases = providerContract(() => fakeTarget('Hi', { capabilities: { tools: false, stream: false } }), { format: 'openai' })
  const skipped = cases.flatMap(({ promise, skip }) => (skip === undefined ? [] : [[promise, skip]]))
  expect(skipped).toEqual([
    ['tool calls', 'It declares that it has no tools.'],
    ['state', 'It declares that it has no tools.'],
    ['content behind finish', 'It declares that it does not stream.'],
    ['silent end', 'It declares that it does not stream.'],
    ['lost end', 'It declares that it does not stream.'],
    ['open end', 'It declares that it does not stream.'],
    ['back pressure', 'It declares that it does not stream.'],
    ['close', 'It has no close().'],
  ])
})

test.for([
  [{ usage: '  ' }, "'usage' needs a reason, as a string"],
  [{ speed: 'It is slow.' }, "'speed' is not a promise of the suite. Write one of finish, length, usage"],
] as const)('the skip %j is refused', ([skip, complaint]) => {
  const options: ContractOptions = { format: 'openai', skip: skip as ContractOptions['skip'] }
  expect(() => providerContract(() => fakeTarget('Hi'), options)).toThrow(complaint)
})

test('testProvider runs the whole suite without a framework and reports what was kept and skipped', async () => {
  const { kept, skipped } = await testProvider(server => referenceProvider(server), { format: 'openai', skip: notForReference })
  expect(kept).toContain('finish')
  expect(skipped).toEqual([
    { promise: 'compressed', reason: 'It asks for no compression and trusts that it gets none.' },
    { promise: 'close', reason: 'It has no close().' },
  ])
  expect(kept.length + skipped.length).toBe(casesFor().length)
})

test('testProvider is rejected with one error for every promise that was broken', async () => {
  const broken = await testProvider(() => fakeTarget('Always this.'), { format: 'openai', timeoutMs: 500 }).catch(
    (error: unknown) => error,
  )
  expect(broken).toBeInstanceOf(AggregateError)
  const { errors, message } = broken as AggregateError
  expect(message).toContain(`The provider breaks ${errors.length} promises.`)
  expect(errors.map(String)).toContainEqual(
    expect.stringMatching(/^Error: status 401: the provider rejects with the reason authentication for a 401\. /),
  )
})
