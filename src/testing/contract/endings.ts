import assert from 'node:assert/strict'
import type { Target } from '../../contract-targets.ts'
import { answer, raw } from '../reply.ts'
import type { Conduct, Reply } from '../reply.ts'
import type { ReceivedRequest } from '../received-request.ts'
import type { AttemptRun } from '../run-attempt.ts'
import type { StreamBody, WireFormat } from '../wire/wire-format.ts'
import type { Promised, Stand } from './contract-case.ts'

const words = ['One ', 'two ', 'three ', 'four.']
const text = words.join('')

/** Promises about streams that announce their end too early. */
export const endings = {
  'content behind finish': {
    name: 'emits content that arrives after a finish reason, and emits one finish, as its last event',
    excuse: streams,
    async check(stand) {
      const { ask } = await stand.open(request =>
        streamOf(stand, request, ({ opening, chunks, finish, done }) =>
          // in a format without `[DONE]`, the finish frame ends the stream
          done === undefined
            ? [...opening, ...chunks, ...finish]
            : [...opening, ...chunks.slice(0, 2), ...finish, ...chunks.slice(2), ...finish, done],
        ),
      )
      await hasAnswered(ask(), 'Content after a finish reason belongs to the answer.')
    },
  },
  'silent end': {
    name: 'emits the finish after a while if the server sends nothing after the finish reason and does not close the connection',
    excuse: streams,
    async check({ open }) {
      const { ask } = await open(answer(words, { stallAfterChunks: 'finish' }))
      const run = ask({ keepsTime: true })
      await run.until(({ type }) => type === 'finish')
      isWhole(run, 'The finish reason arrived, so the answer is complete.')
    },
  },
  'lost end': {
    name: 'accepts an answer whose connection is lost after the finish reason',
    excuse: streams,
    async check({ open }) {
      for (const cutBy of ['fin', 'rst'] as const) {
        const { ask } = await open(answer(words, { cutAfterChunks: 'finish', cutBy }))
        await hasAnswered(ask({ keepsTime: true }), 'What is lost after the finish reason is not part of the answer.')
      }
    },
  },
  'open end': {
    name: 'does not wait for the end of the body after the last event of the stream',
    excuse: streams,
    async check(stand) {
      const { ask } = await stand.open(request =>
        streamOf(stand, request, ({ opening, chunks, finish, done }) => [
          ...[...opening, ...chunks, ...finish],
          ...(done === undefined ? [] : [done]),
        ]),
      )
      await hasAnswered(ask(), 'The server may keep the body open.')
    },
  },
} as const satisfies Record<string, Promised>

function streams({ provider }: Target): string | undefined {
  return provider.capabilities?.stream === false ? 'It declares that it does not stream.' : undefined
}

/** Sends the frames of this format in another order, and then nothing more. */
function streamOf({ format }: Stand, request: ReceivedRequest, order: (body: StreamBody) => readonly string[]): Reply {
  const reply = answer(words)
  // the request did not ask for a stream, so there is nothing to reorder
  if (reply.type !== 'answer' || !format.wantsStream(request)) return reply
  const frames = order(format.stream(reply.answer, request))
  const conduct: Conduct = { headers: headersOf(format, request), stallAfterChunks: frames.length }
  return raw(frames, conduct)
}

function headersOf(format: WireFormat, request: ReceivedRequest): Conduct['headers'] {
  return format.headers('stream', request)
}

async function hasAnswered(run: AttemptRun, why: string): Promise<void> {
  await Promise.race([run.over, run.until(({ type }) => type === 'finish')])
  isWhole(run, why)
}

function isWhole(run: AttemptRun, why: string): void {
  assert.notEqual(run.outcome, 'rejected', `${why} It rejected with: ${String(run.error)}`)
  assert.equal(run.text(), text, why)
  const finishes = run.events.flatMap((event, index) => (event.type === 'finish' ? [index] : []))
  assert.deepEqual(finishes, [run.events.length - 1], 'There must be exactly one finish, and it must be the last event.')
}
