import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import type { ProviderEvent } from '../../contract.ts'
import type { Target } from '../../contract-targets.ts'
import { answer, hang } from '../reply.ts'
import type { Reply } from '../reply.ts'
import type { AttemptRun } from '../run-attempt.ts'
import { assertWhole } from './contract-case.ts'
import type { Promised, Stand } from './contract-case.ts'

const words = ['One ', 'two ', 'three.']

const pieceLength = 65_536

/** 16 MB of text. The buffers of the two sockets hold only about 4 MB of it while nobody reads. */
const long = Array.from({ length: 256 }, () => 'x'.repeat(pieceLength))

/** Promises about connections, back pressure and the abort signal. */
export const connections = {
  'abort before headers': aborts('before there are headers', hang()),
  'abort while queued': aborts('while it is queued', answer(words, { keepAliveForMs: Infinity, keepAliveEveryMs: 1 }), 'queue'),
  'abort in the answer': aborts('in the middle of the answer', answer(words, { stallAfterChunks: 1 }), 'content'),
  'aborted before': {
    name: 'sends nothing if its signal was aborted before it began',
    async check({ open }) {
      const { server, target } = await open(answer(words))
      const events: ProviderEvent[] = []
      const emit = (event: ProviderEvent): boolean => events.push(event) > 0
      const call = { model: target.model, messages: [{ role: 'user', content: 'Hi' }], metadata: {} } as const
      await target.provider.stream(call, { signal: AbortSignal.abort(), emit, onDrain: () => {} }).catch(() => {})
      assert.deepEqual(
        events.filter(event => event.type === 'finish'),
        [],
      )
      assert.equal(server.requests.length, 0, 'It sent a request.')
    },
  },
  'back pressure': {
    name: 'stops reading while the reader is behind, and continues when the reader has caught up',
    excuse: ({ provider }) => (provider.capabilities?.stream === false ? 'It declares that it does not stream.' : undefined),
    check: checkBackPressure,
  },
  'idle connections': {
    name: 'is not disturbed when the server closes connections that were idle',
    async check({ open }) {
      const { answer: ask, server } = await open(answer(words), { closeIdleAfterMs: 0 })
      for (let count = 0; count < 5; count += 1) {
        assertWhole(await ask(), words.join(''))
        await server.untilAllClosed()
      }
    },
  },
  parallel: {
    name: 'answers many attempts at once, each with its own answer',
    async check({ open }) {
      const { ask } = await open(({ body }) => answer(['You said ', /marker-\d+/.exec(body)?.[0] ?? 'nothing']))
      const markers = Array.from({ length: 10 }, (_, index) => `marker-${index}`)
      const runs = markers.map(content => ask({ call: { messages: [{ role: 'user', content }] } }))
      for (const [index, run] of runs.entries()) {
        await run.over
        assertWhole(run, `You said ${markers[index]}`)
      }
    },
  },
  close: {
    name: 'closes its connections on close(), and can be used again',
    excuse: ({ provider }) => (provider.close === undefined ? 'It has no close().' : undefined),
    async check({ open }) {
      const { answer: ask, server, target } = await open(answer(words))
      assertWhole(await ask(), words.join(''))
      await target.provider.close?.()
      await server.untilAllClosed()
      assertWhole(await ask(), words.join(''))
    },
  },
} as const satisfies Record<string, Promised>

function aborts(when: string, reply: Reply, sign?: 'queue' | 'content'): Promised {
  return {
    name: `stops at once when its signal is aborted ${when}, and closes the connection`,
    async check({ open }) {
      const { ask, server, target } = await open(reply)
      const run = ask()
      const request = await server.untilRequests(1)
      if (sign !== undefined) await run.until(({ type }) => type === signOf(sign, target))
      run.abort(new Error('The case is over.'))
      const told = run.events.length
      await run.over
      await request.closed
      assert.ok(request.aborted, 'The connection was not closed, so the server continues to work and the cost continues to grow.')
      assert.equal(run.events.length, told, `It emitted more events after the abort: ${JSON.stringify(run.events.slice(told))}`)
    },
  }
}

/** The event that shows how far the attempt has come. For a provider that cannot stream, partial JSON is not content yet. */
function signOf(sign: 'queue' | 'content', { provider }: Target): ProviderEvent['type'] {
  if (sign === 'queue') return 'queued'
  return provider.capabilities?.stream === false ? 'headers' : 'text-delta'
}

async function checkBackPressure({ open }: Stand): Promise<void> {
  const { ask, server } = await open(answer(long))
  const run = ask({ isBehind: event => event.type === 'text-delta' })
  const request = await server.untilRequests(1)
  await untilQuiet(run)
  assert.ok(
    run.outcome === 'open' && run.text().length < long.length * pieceLength,
    'It emitted the whole answer although the reader was behind.',
  )
  assert.equal(request.closedAt, undefined, 'It read the whole answer although the reader was behind.')
  // From now on the reader never lags behind.
  const draining = setInterval(() => run.drain(), 1)
  await run.over.finally(() => clearInterval(draining))
  assertWhole(run, long.join(''))
}

/** Resolves after 30 checks, a millisecond apart, without a new event. Between two checks the event loop turns, so an event could arrive. */
async function untilQuiet(run: AttemptRun): Promise<void> {
  await run.until(({ type }) => type === 'text-delta')
  for (let looks = 0, seen = -1; looks < 30 && run.outcome === 'open'; looks += 1) {
    await setTimeout(1)
    if (run.events.length !== seen) looks = 0
    seen = run.events.length
  }
}
