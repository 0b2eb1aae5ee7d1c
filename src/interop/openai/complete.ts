import { randomUUID } from 'node:crypto'
import { checkInput } from '../../check-input.ts'
import { type AnswerStream, type Client, type GenerateInput, UnbusyError } from '../../index.ts'
import { answerForm } from '../../output/answer-form.ts'
import { requestsOf as requestsMade } from '../../answer/answer-stream.ts'
import { CannotTakeBack } from '../cannot-take-back.ts'
import { pump, type Write } from '../pump.ts'
import { answerBody, cutBody, type Envelope } from './answer-body.ts'
import { type Chunks, createChunks } from './chunks.ts'
import { type CutAnswer, cutAnswer } from './cut-answer.ts'
import type { Memory } from './memory.ts'
import type { ChatRequest } from './read-request.ts'
import {
  dontRetry,
  errorReply,
  type Headers,
  ignoredHeader,
  jsonReply,
  mishapOf,
  type Reply,
  requestsOf,
  type Told,
  toldOf,
  toldOfCut,
  whoHeaders,
} from './reply.ts'
import { RequestError } from './request-error.ts'
import { type Ahead, readAhead, warningsHeader } from './untaken.ts'

export type CompleteOptions = {
  readonly client: Client
  readonly memory: Memory
  readonly request: ChatRequest
  /** Fires when the client has disconnected. */
  readonly signal: AbortSignal
  /** How long a stream may be silent before a comment is sent. Undefined: no comments, so failures before the first content keep their status. */
  readonly keepAliveMs: number | undefined
  /** Receives errors that are not failures of models: bugs in callbacks of the application. */
  onError?(error: unknown): void
}

/** Turns a request into a reply, independent of any server framework. Rejects only with the reason of `signal`. */
export async function complete(options: CompleteOptions): Promise<Reply> {
  try {
    checkWhole(options.request.input)
    return await (options.request.stream ? streamed(options) : whole(options))
  } catch (error) {
    options.signal.throwIfAborted()
    return errorReply(forStrangers(options, error))
  }
}

/** Attributes a wrong input to the client of the endpoint; any other `TypeError` is a bug of the application. */
function checkWhole(input: GenerateInput): void {
  try {
    checkInput(input)
    answerForm(input)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new RequestError(error.message.replace(/^generate: /, ''))
  }
}

function forStrangers({ onError }: CompleteOptions, error: unknown): unknown {
  const isClosed = UnbusyError.isInstance(error) && error.name === 'UnbusyError'
  if (isClosed) return new RequestError(error.message, { status: 503, code: 'closed' })
  if (!UnbusyError.isInstance(error)) onError?.(error)
  return error
}

async function whole({ client, memory, request, signal }: CompleteOptions): Promise<Reply> {
  const result = await client.generate({ ...request.input, signal }).catch(orCut)
  const who = whoHeaders({ ...result, attempts: requestsOf(result.attempts) })
  if (!('message' in result))
    return jsonReply(cutBody(result, envelopeOf()), { headers: { ...headersOf(request), ...who }, told: toldOfCut(result) })
  memory.keep(request.turns, { ...result, messageState: result.message.providerMetadata })
  const body = answerBody(result, envelopeOf(), request.output !== undefined)
  const headers = { ...headersOf(request), ...who, ...warningsHeader(result.warnings) }
  return jsonReply(body, { headers, told: toldOf(result, 200) })
}

function orCut(error: unknown): CutAnswer {
  const cut = cutAnswer(error)
  if (cut === undefined) throw error
  return cut
}

function envelopeOf(): Envelope {
  return { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1_000) }
}

function headersOf({ ignored }: ChatRequest): Headers {
  return { ...dontRetry, ...ignoredHeader(ignored) }
}

async function streamed(options: CompleteOptions): Promise<Reply> {
  const { client, request, signal, keepAliveMs } = options
  const opening = client.stream({ ...request.input, signal })
  const stream = keepAliveMs === undefined ? await opening : await within(opening, keepAliveMs)
  const ahead = stream === undefined ? undefined : await readAhead(stream[Symbol.asyncIterator]())
  const headers = {
    ...{ 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' },
    ...headersOf(request),
    ...(stream === undefined ? undefined : await whoAnswers(stream)),
    ...warningsHeader(ahead?.warnings ?? []),
  }
  return { status: 200, headers, write: write => writeAll({ ...options, opening, ahead, write }) }
}

/** For the default response the result is available at once, so its attempts can be counted. */
async function whoAnswers(stream: AnswerStream): Promise<Headers> {
  const { answeredBy } = stream
  const isDefault = answeredBy.targetIndex < 0
  const attempts = isDefault ? requestsOf((await stream.result()).attempts) : (requestsMade(stream) ?? answeredBy.attempt)
  return whoHeaders({ ...answeredBy, attempts })
}

/** Resolves with undefined if the work takes longer. `writeAll` then awaits the work and reports its error. */
async function within<Value>(work: Promise<Value>, forMs: number): Promise<Value | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(resolve, forMs, undefined)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

type WriteAll = CompleteOptions & {
  readonly opening: Promise<AnswerStream>
  readonly ahead: Ahead | undefined
  readonly write: Write
}

/** Writes everything after the headers, including an error. */
async function writeAll(options: WriteAll): Promise<Told> {
  const { signal } = options
  const { write, stop } = withComments(options)
  try {
    return await writeAnswer(options, write)
  } catch (error) {
    if (signal.aborted) return { outcome: 'aborted', status: 200 }
    const { error: body, told } = mishapOf(forStrangers(options, error))
    await write(`data: ${JSON.stringify({ error: body })}\n\n`)
    return { ...told, status: 200 }
  } finally {
    stop()
  }
}

async function writeAnswer({ opening, ahead, request, memory }: WriteAll, write: Write): Promise<Told> {
  const stream = await opening
  const { includeUsage, output, input, turns } = request
  const chunks = createChunks({
    ...{ envelope: envelopeOf(), model: stream.answeredBy.model, includeUsage, output, tools: input.tools },
  })
  const events = ahead?.events ?? stream[Symbol.asyncIterator]()
  try {
    await pump(events, {
      encode: chunks.encode,
      write,
      async end() {
        const result = await stream.result()
        memory.keep(turns, { ...result, messageState: result.message.providerMetadata })
        return chunks.end(result)
      },
    })
  } catch (error) {
    // end the stream, so that its restart is not billed
    if (CannotTakeBack.isInstance(error)) await events.return?.()
    return writeCut(orCut(error), { chunks, write })
  }
  return toldOf(await stream.result(), 200)
}

type WriteCut = { readonly chunks: Chunks; readonly write: Write }

async function writeCut(cut: CutAnswer, { chunks, write }: WriteCut): Promise<Told> {
  await write(chunks.endCut(cut))
  return toldOfCut(cut)
}

/** Writes comments while the stream is silent, because proxies cut silent connections, most of them after 60 s. */
function withComments({ keepAliveMs, write }: WriteAll): { readonly write: Write; stop(): void } {
  if (keepAliveMs === undefined) return { write, stop() {} }
  let isBlocked = false
  const free = (): void => {
    isBlocked = false
  }
  const timer = setInterval(() => {
    if (!isBlocked) void write(': keep-alive\n\n')
  }, keepAliveMs)
  return {
    write(text) {
      timer.refresh()
      const blocked = write(text)
      if (blocked === undefined) return undefined
      isBlocked = true
      return blocked.then(free, free)
    },
    stop: () => clearInterval(timer),
  }
}
