import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import type { ProviderEvent, Target } from '../../contract.ts'
import { answer, hang } from '../reply.ts'
import type { Reply } from '../reply.ts'
import type { AttemptRun } from '../run-attempt.ts'
import { assertWhole } from './contract-case.ts'
import type { Promised, Stand } from './contract-case.ts'

const words = ['One ', 'two ', 'three.']

const pieceLength = 65_536

/** 16 MB. The buffers of two sockets take about 4 of them when nobody reads. */
const long = Array.from({ length: 256 }, () => 'x'.repeat(pieceLength))

/** How a provider treats connections, its reader and its signal. */
export const connections = {
  'abort before headers': aborts('before there are headers', hang()),
  'abort while queued': aborts('while it is queued', answer(words, { keepAliveForMs: Infinity, keepAliveEveryMs: 1 }), 'queue'),
  'abort in the answer': aborts('in the middle of the answer', answer(words, { stallAfterChunks: 1 }), 'content'),
  'aborted before': {
    name: 'sends nothing when its signal has fired before it began',
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
    name: 'stops reading while the reader is behind, and goes on when it has caught up',
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
    name: 'ends its connections on close, and can be used again',
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
    name: `stops at once when its signal fires ${when}, and closes the connection`,
    async check({ open }) {
      const { ask, server, target } = await open(reply)
      const run = ask()
      const request = await server.untilRequests(1)
      if (sign !== undefined) await run.until(({ type }) => type === signOf(sign, target))
      run.abort(new Error('The case is over.'))
      const told = run.events.length
      await run.over
      await request.closed
      assert.ok(request.aborted, 'The connection was not closed: the server goes on working, and the bill goes on growing.')
      assert.equal(run.events.length, told, `It told more after the signal: ${JSON.stringify(run.events.slice(told))}`)
    },
  }
}

/** What shows how far the attempt is. Half a JSON is no content yet. */
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
    'It told the whole answer although nobody took it.',
  )
  assert.equal(request.closedAt, undefined, 'It read the whole answer although nobody took it.')
  // From now on the reader is as fast as it can be.
  const draining = setInterval(() => run.drain(), 1)
  await run.over.finally(() => clearInterval(draining))
  assertWhole(run, long.join(''))
}

/** Thirty looks, a millisecond apart, at an attempt that tells nothing new. Each look is a turn in which it could. */
async function untilQuiet(run: AttemptRun): Promise<void> {
  await run.until(({ type }) => type === 'text-delta')
  for (let looks = 0, seen = -1; looks < 30 && run.outcome === 'open'; looks += 1) {
    await setTimeout(1)
    if (run.events.length !== seen) looks = 0
    seen = run.events.length
  }
}
