import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { answer, startServer, status } from 'unbusy/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { peers } from '../../helpers/peers.ts'
import { type Consumer, createConsumer } from './consumer.ts'

const runtimes = peers('runtimes')

let consumer: Consumer

beforeAll(async () => {
  consumer = await createConsumer()
  await copyFile(join(import.meta.dirname, 'smoke.ts'), join(consumer.folder, 'smoke.ts'))
})

afterAll(() => consumer.remove())

test('Node generates, streams, gives typed answers, aborts, sees a cut and closes', async () => {
  await expectSmoke(process.execPath, [])
})

test.skipIf(runtimes.isMissing)(`so does Bun, which has a module of its own named undici${runtimes.suffix}`, async () => {
  await expectSmoke(runtimes.program('bun'), ['run'])
})

test.skipIf(runtimes.isMissing)(`so does Deno${runtimes.suffix}`, async () => {
  await expectSmoke(runtimes.program('deno'), ['run', '--quiet', '--allow-all'])
})

test.skipIf(runtimes.isMissing)(`Bun and Deno import every entry${runtimes.suffix}`, async () => {
  const code = `console.log([${(await consumer.entries()).map(name => `await import('${name}')`).join()}].length)`
  const count = `${(await consumer.entries()).length}\n`
  expect(await consumer.run(runtimes.program('bun'), ['--eval', code])).toBe(count)
  expect(await consumer.run(runtimes.program('deno'), ['eval', '--quiet', code])).toBe(count)
})

/** The process ends by itself when the client is closed: `run` waits for that. */
async function expectSmoke(program: string, options: readonly string[]): Promise<void> {
  const nobody = new Promise<never>(() => {})
  await using server = await startServer([
    status(503),
    answer('Hello.'),
    answer('One, two, three.'),
    answer('{"minutes":40}'),
    answer('Too late.', { keepAlives: 1, keepAliveUntil: nobody }),
    answer('A half answer', { cutAfterChunks: 1 }),
    answer('A slow answer', { stallAfterChunks: 1 }),
  ])
  const printed = await consumer.run(program, [...options, 'smoke.ts', server.baseURL])
  expect(JSON.parse(printed)).toEqual({
    generate: 'Hello.',
    attempts: ['overloaded', 'answered'],
    stream: 'One, two, three.',
    output: { minutes: 40 },
    abort: true,
    cut: expect.stringMatching(/^truncated after A /),
    close: 'UnbusyError: This client is closed and takes no more calls.',
    strangers: [],
  })
  expect(server.requests).toHaveLength(7)
  await server.untilAllClosed()
}
