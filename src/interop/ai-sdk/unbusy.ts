import { isRecord, kindOf } from '../../check.ts'
import type { AnswerStream, Client } from '../../index.ts'
import { contentOf, finishReasonOf, metadataOf, usageOf, warningOf } from './answer-parts.ts'
import { checkOurOptions, readCall, type ReadCall, type UnbusyCallOptions } from './read-call.ts'
import { createParts, type Parts } from './stream-parts.ts'
import type { ModelV4, StreamPart } from './types.ts'

/** Options of a model: the call options without an AI SDK equivalent, and the name of the model. */
export type UnbusySettings = UnbusyCallOptions & {
  /** The `modelId` that the AI SDK reports before it is known which target answers. @default 'chain' */
  readonly modelId?: string | undefined
}

/**
 * Makes a model of the AI SDK 7 from a chain, for `generateText`, `streamText` and everything else that takes a model.
 * `providerMetadata.unbusy` says which target answered; options of a call go into `providerOptions.unbusy`. A stream that breaks after the
 * first text ends with an `error` part, never as a success.
 *
 * @throws {TypeError} The first argument is not a client, or an option does not exist.
 *
 * @example
 * const { text } = await generateText({ model: unbusy(client), prompt: 'Why is the sky blue?' })
 */
export function unbusy(client: Client, settings: UnbusySettings = {}): ModelV4 {
  if (!isRecord(client) || typeof client['generate'] !== 'function')
    throw new TypeError(
      `unbusy: the first argument must be a client, not ${kindOf(client)}. Write unbusy(createClient({ chain })).`,
    )
  const { modelId = 'chain', ...rest } = settings
  const defaults = checkOurOptions(rest, 'unbusy')
  return {
    specificationVersion: 'v4',
    provider: 'unbusy',
    modelId,
    // an empty object makes the AI SDK download images itself, because a private target may not reach URLs that the application can
    supportedUrls: {},
    async doGenerate(options) {
      const { input, warnings, typed } = readCall(options, defaults)
      const result = await client.generate(input)
      const { id, model } = result.response
      return {
        content: contentOf(result, typed !== undefined),
        finishReason: finishReasonOf(result.finishReason),
        usage: usageOf(result.usage),
        warnings: [...warnings, ...result.warnings.map(warningOf)],
        providerMetadata: metadataOf(result),
        response: { ...(id === undefined ? undefined : { id }), modelId: model ?? result.model, timestamp: new Date() },
      }
    },
    async doStream(options) {
      const call = readCall(options, defaults)
      return { stream: partsOf(await client.stream(call.input), call) }
    },
  }
}

/**
 * Not `ReadableStream.from()`, which would wait for the next token before a cancellation takes effect, and that token would be billed. A
 * failure is sent as an `error` part, because an error of the stream itself would discard the parts that are still queued.
 */
function partsOf(stream: AnswerStream, call: ReadCall): ReadableStream<StreamPart> {
  const events = stream[Symbol.asyncIterator]()
  const parts = createParts(stream, call)
  return new ReadableStream<StreamPart>({
    async pull(controller) {
      try {
        const { next, isLast } = await nextParts(events, parts)
        for (const part of next) controller.enqueue(part)
        if (isLast) controller.close()
      } catch (error) {
        if (call.input.signal?.aborted === true) return controller.error(call.input.signal.reason)
        await events.return?.()
        controller.enqueue({ type: 'error', error })
        controller.close()
      }
    },
    async cancel() {
      await events.return?.()
    },
  })
}

type Next = { readonly next: readonly StreamPart[]; readonly isLast: boolean }

/** Reads on until an event yields parts, because not every event does. */
async function nextParts(events: AsyncIterator<Parameters<Parts['of']>[0]>, parts: Parts): Promise<Next> {
  for (;;) {
    const event = await events.next()
    if (event.done === true) return { next: await parts.end(), isLast: true }
    const next = parts.of(event.value)
    if (next.length > 0) return { next, isLast: false }
  }
}
