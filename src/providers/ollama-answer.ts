import { randomUUID } from 'node:crypto'
import type { ProviderEvent } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import type { BodyReader } from '../http/post.ts'
import { createLineReader, type LineReader } from '../http/json-lines.ts'
import type { Chunk } from './chat-completions/chunk.ts'
import type { Decoding } from './chat-completions/decode.ts'
import { contextOf, decodeChunk, hasAnswer, startDecoding, tellAlive } from './chat-completions/decode.ts'
import { isFlatError, isNamedError } from './chat-completions/error-body.ts'
import type { AnswerContext } from './chat-completions/failure.ts'
import { inBandFailure, strangeAnswer } from './chat-completions/failure.ts'
import { finishDecoding } from './chat-completions/finish-decoding.ts'
import { takeLinger } from './chat-completions/ending.ts'
import { saidFinish } from './chat-completions/finish-reason.ts'
import { asObject, isCutJson, parseJson } from './chat-completions/parse-json.ts'
import type { AnswerOptions } from './chat-completions/read-answer.ts'
import { readAnswer } from './chat-completions/read-answer.ts'
import { closesUnopened } from './chat-completions/think-tags.ts'

type Line = { readonly [key: string]: unknown }

/**
 * Reads `/api/chat` and `/api/generate`: a line of JSON for each piece, or one for the whole answer. Both end in `done: true`. Each
 * line is told to the decoder of chat completions in its own words, so that what counts as an answer, what is a thought and what is
 * half a tool call is decided in one place.
 */
export function readOllama(options: AnswerOptions): BodyReader {
  return options.status >= 200 && options.status <= 299 ? readLines(options) : readAnswer(options)
}

function readLines(options: AnswerOptions): BodyReader {
  let decoding: Decoding | undefined
  let flowing = true

  // the last answer counts: a reader that has caught up in the meantime will not call back again
  const emit = (event: ProviderEvent) => {
    flowing = options.emit(event)
    return flowing
  }
  const lines = createLineReader({
    onLine(text) {
      if (decoding?.ending.state === 'over') return
      const line = parsedLine(text, decoding === undefined ? options : contextOf(decoding))
      const chunk = chunkOf(line)
      // a text that is whole shows a tag that the template has opened
      const opened = decoding === undefined && line['done'] === true && options.thinkTags === true && closesUnopened(chunk)
      decoding ??= startDecoding({ ...options, thinkTags: opened ? 'opened' : options.thinkTags, emit })
      decodeChunk(decoding, chunk)
      // a gateway may say so on its first, empty line too (F4)
      if (line['done'] === true && hasAnswer(decoding)) finishDecoding(decoding, true)
    },
    onBlank() {
      if (decoding === undefined) emit({ type: 'queued' })
      else tellAlive(decoding)
    },
  })

  const isOver = () => decoding?.ending.state === 'over'
  /** The server has said that it is done, and nothing is missing but the end of the body. */
  const conclude = () => {
    if (decoding?.ending.state === 'finished') finishDecoding(decoding, true)
    return isOver()
  }

  return {
    write(text) {
      flowing = true
      lines.write(text)
      whenUnended(options, lines, conclude)
      const forMs = decoding === undefined ? undefined : takeLinger(decoding.ending)
      if (forMs !== undefined) options.linger?.(conclude, forMs)
      return flowing
    },
    end() {
      lines.end()
      // a 200 without a word is how an overloaded gateway in front of it says busy (R43)
      if (decoding === undefined) throw failed('overloaded', 'The server answered 200 with an empty body.', options.status)
      if (!conclude()) throw failed('truncated', 'The answer ended before it was done.', options.status)
    },
    isOver,
    lost() {
      lines.end()
      return conclude()
    },
  }
}

/** What lacks only its line end is read when nothing follows it. */
function whenUnended(options: AnswerOptions, lines: LineReader, conclude: () => void): void {
  const last = lines.unended()
  if (last === undefined || !isLast(last)) return
  options.linger?.(() => {
    lines.end()
    conclude()
  }, unendedWithinMs)
}

/** The rest of a line comes right behind what is there, or never. */
const unendedWithinMs = 100

/** No line comes behind this one. */
function isLast(text: string): boolean {
  try {
    const line = asObject(parseJson(text))
    return line?.['done'] === true || line?.['error'] !== undefined
  } catch {
    return false
  }
}

function parsedLine(text: string, context: AnswerContext): Line {
  let line: Line | undefined
  try {
    // a byte order mark is a blank too
    line = asObject(parseJson(text.trimStart()))
  } catch {
    // no cause: the parser's message quotes what it read
    if (isCutJson(text)) throw failed('truncated', 'A line of the answer was cut.', context.status)
  }
  if (line === undefined) throw strangeAnswer(text, context)
  if (isNamedError(line) || isFlatError(line)) throw inBandFailure(line, context)
  if (typeof line['message'] !== 'string' && ['message', 'response', 'done'].some(name => name in line)) return line
  throw strangeAnswer(text, context)
}

/** The same in chat completions' words. */
function chunkOf(line: Line): Chunk {
  const message = asObject(line['message'])
  const calls = toolCallsOf(line).map(wireCall)
  const said = {
    content: message?.['content'] ?? line['response'],
    thinking: message?.['thinking'] ?? line['thinking'],
    ...(calls.length === 0 ? undefined : { tool_calls: calls }),
  }
  if (line['done'] !== true) return { model: line['model'], choices: [{ message: said }] }
  const reason = line['done_reason']
  return {
    model: line['model'],
    choices: [{ message: said, finish_reason: saidFinish(reason) === undefined ? 'stop' : reason }],
    usage: usageOf(line),
    ...timesOf(line),
  }
}

function toolCallsOf(line: Line): readonly unknown[] {
  const calls = asObject(line['message'])?.['tool_calls']
  return Array.isArray(calls) ? (calls as readonly unknown[]) : []
}

/** They come whole, and mostly without an id: they get one that no other turn has, because the conversation may go on elsewhere. */
function wireCall(call: unknown): unknown {
  const { id, function: called } = asObject(call) ?? {}
  return { id: typeof id === 'string' && id !== '' ? id : `call_${randomUUID().slice(0, 8)}`, function: called }
}

function usageOf(line: Line): unknown {
  const { prompt_eval_count: input, eval_count: output } = line
  const total = typeof input === 'number' && typeof output === 'number' ? input + output : undefined
  return { prompt_tokens: input, completion_tokens: output, total_tokens: total }
}

/** Ollama counts in nanoseconds. `loadMs` above a second means that this call had to wait for the model to be read. */
function timesOf({ load_duration: load, total_duration: total }: Line): { readonly loadMs?: number; readonly totalMs?: number } {
  return {
    ...(typeof load === 'number' ? { loadMs: load / 1e6 } : undefined),
    ...(typeof total === 'number' ? { totalMs: total / 1e6 } : undefined),
  }
}

function failed(reason: 'overloaded' | 'truncated', message: string, status: number): ProviderError {
  return new ProviderError(message, { reason, status })
}
