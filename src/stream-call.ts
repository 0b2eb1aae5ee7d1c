import { type AnswerStream, toAnswerStream } from './answer/answer-stream.ts'
import type { Broken } from './answer/continuation.ts'
import { closeQueue } from './answer/event-queue.ts'
import { brokenStream, finishStream, open, type Outlet } from './answer/stream.ts'
import { StreamInterruptedError } from './answer/stream-interrupted-error.ts'
import type { ClientState } from './call-state.ts'
import { runCall } from './call.ts'
import { abort } from './chain/signal.ts'
import { ChainExhaustedError, UnbusyError } from './errors.ts'
import type { GenerateInput } from './options.ts'
import { copyInput, loadSchemas, prepareCall } from './prepare-call.ts'

/** Runs a call that streams its answer. Resolves at the first content. @param from the broken stream that this one resumes */
export async function runStream(client: ClientState, given: string | GenerateInput, from?: Broken): Promise<AnswerStream> {
  const input = copyInput(given)
  const loading = loadSchemas(input)
  if (loading !== undefined) await loading
  const call = prepareCall(client, input, from)
  const { continuation, form, repairs } = call
  const outlet = open({ ...call.settings, continuation, form, repairs, clock: client.clock, from })
  const { queue, opened } = outlet.reader
  // the default response must not be appended to text that the reader already has
  const result = runCall(client, call, { sink: outlet.sink, stream: true, mayDefault: () => !outlet.reader.isOpen }).then(
    answer => {
      finishStream(outlet, answer)
      opened.resolve()
      return answer
    },
    (error: unknown) => {
      const told =
        outlet.reader.isOpen && ChainExhaustedError.isInstance(error) ? interrupted(client, { input, outlet, error }) : error
      closeQueue(queue, told)
      opened.reject(told)
      throw told
    },
  )
  // the error reaches the caller through the stream
  result.catch(() => {})
  await opened.promise
  return toAnswerStream(queue, {
    result,
    clock: client.clock,
    isAborted: () => call.signal.aborted,
    leave: () => abort(call.signal, left),
    sources: () => outlet.reader.sources,
    resume: () => result.then(nothingToResume, resumeAfter),
  })
}

type Interrupted = { readonly input: string | GenerateInput; readonly outlet: Outlet; readonly error: ChainExhaustedError }

function interrupted(client: ClientState, { input, outlet, error }: Interrupted): StreamInterruptedError {
  const broken = brokenStream(outlet)
  return new StreamInterruptedError(broken, error, async () => runStream(client, input, broken))
}

function nothingToResume(): never {
  throw new TypeError('stream.resume: this answer is complete. Call it only after the stream threw a StreamInterruptedError.')
}

function resumeAfter(error: unknown): Promise<AnswerStream> {
  if (StreamInterruptedError.isInstance(error)) return error.resume()
  throw error
}

/** The abort reason when the reader leaves the loop. No caller receives it. */
const left = new UnbusyError('The reader left the stream.')
