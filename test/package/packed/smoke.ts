/** What a user does, in a runtime of any kind. `runtimes.test.ts` copies it beside the installed package and reads what it prints. */

import process from 'node:process'
import { createClient, deepseek, StreamInterruptedError } from 'unbusy'
import { z } from 'zod'

const never = new Error('Nobody aborted.')
const mine = new Error('I left.')
const leaving = new AbortController()

const client = createClient({
  chain: [deepseek({ baseURL: process.argv[2], apiKey: 'test' })],
  onEvent(event) {
    // the server only sends keep-alives to the one call that has this signal
    if (event.type === 'attempt-queued') leaving.abort(mine)
  },
})

const retried = await client.generate('Hi')
const streamed = await (await client.stream('Count to three.')).text()
const { output } = await client.generate({ prompt: 'How long?', output: z.object({ minutes: z.number() }) })
const abort = await endOf(client.generate({ prompt: 'Wait.', signal: leaving.signal }))
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
  }),
)

async function readAll(prompt: string, atFirstText = async (): Promise<void> => {}): Promise<void> {
  for await (const event of await client.stream(prompt)) if (event.type === 'text-delta') await atFirstText()
}

async function endOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => never,
    (error: unknown) => error,
  )
}
