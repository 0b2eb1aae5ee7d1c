/** What a user does, in a runtime of any kind. `runtimes.test.ts` copies it beside the installed package and reads what it prints. */

import { AsyncLocalStorage } from 'node:async_hooks'
import process from 'node:process'
import { createClient, deepseek, StreamInterruptedError } from 'unbusy'
import { z } from 'zod'

const never = new Error('Nobody aborted.')
const mine = new Error('I left.')
const leaving = new AbortController()

/** The number of the call whose context this is. */
const numbers = new AsyncLocalStorage<number>()
const strangers: string[] = []
let calls = 0

const client = createClient({
  chain: [deepseek({ baseURL: process.argv[2], apiKey: 'test' })],
  onEvent(event) {
    if ('callId' in event && event.callId !== numbers.getStore()) strangers.push(event.type)
    // the server only sends keep-alives to the one call that has this signal
    if (event.type === 'attempt-queued') leaving.abort(mine)
  },
})

const retried = await own(() => client.generate('Hi'))
const streamed = await (await own(() => client.stream('Count to three.'))).text()
const { output } = await own(() => client.generate({ prompt: 'How long?', output: z.object({ minutes: z.number() }) }))
const abort = await endOf(own(() => client.generate({ prompt: 'Wait.', signal: leaving.signal })))
const cut = await endOf(readAll('Break off.'))
const closed = await endOf(readAll('Stay silent.', () => client.close()))

console.log(
  JSON.stringify({
    generate: retried.text,
    attempts: retried.attempts.map(({ reason }) => reason ?? 'answered'),
    stream: streamed,
    output,
    abort: abort === mine,
    cut: StreamInterruptedError.isInstance(cut) ? `${cut.failure?.reason} after ${cut.text}` : String(cut),
    close: String(closed),
    strangers,
  }),
)

/** Each call in a context of its own. */
function own<Result>(call: () => Result): Result {
  return numbers.run((calls += 1), call)
}

async function readAll(prompt: string, atFirstText = async (): Promise<void> => {}): Promise<void> {
  for await (const event of await own(() => client.stream(prompt))) if (event.type === 'text-delta') await atFirstText()
}

async function endOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => never,
    (error: unknown) => error,
  )
}
