import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import type { FailureReason } from '../../contract-failures.ts'
import { answer, json, raw, refuse, status } from '../reply.ts'
import type { Conduct, Reply } from '../reply.ts'
import { assertNoAnswer, assertProviderError, contractKey } from './contract-case.ts'
import type { Promised, Stand } from './contract-case.ts'

const words = ['One ', 'two ', 'three ', 'four.']

/** Promises about failed and broken answers. */
export const failures = {
  'status 401': maps(401, 'authentication'),
  'status 402': maps(402, 'quota'),
  'status 404': maps(404, 'not-found'),
  'status 422': maps(422, 'invalid-request'),
  'status 429': maps(429, 'rate-limit'),
  'status 500': maps(500, 'server-error'),
  'status 503': maps(503, 'overloaded', 'loading'),
  'foreign error': {
    name: 'rejects with a ProviderError for the status when the error body is HTML, plain text or empty',
    async check({ open }) {
      const bodies = ['<html><h1>503 Service Temporarily Unavailable</h1></html>', 'upstream connect error', '']
      const { answer: ask } = await open(bodies.map(body => status(503, body)))
      for (const body of bodies) {
        const { error } = await ask()
        assertProviderError(error)
        assert.deepEqual([error.reason, error.status], ['overloaded', 503], `for the body ${JSON.stringify(body)}`)
      }
    },
  },
  'retry after': {
    name: 'reports how long the server asked it to wait',
    async check({ open }) {
      const { answer: ask } = await open([
        { ...status(429), retryAfterMs: 7_000 },
        { ...status(503), retryAfterMs: 3_600_000 },
      ])
      const waits: unknown[] = []
      for (let count = 0; count < 2; count += 1) {
        const { error } = await ask()
        assertProviderError(error)
        waits.push(error.retryAfterMs)
      }
      assert.deepEqual(waits, [7_000, 3_600_000])
    },
  },
  key: {
    name: 'never puts the key into an error or an event, not even when the server echoes it',
    async check({ open }) {
      const echoes: readonly Reply[] = [
        status(401, `Authentication failed: Bearer ${contractKey} is invalid`, { 'x-echo': 'none' }),
        json(
          { error: { message: `Incorrect API key provided: ${contractKey}.`, type: 'invalid_request_error', code: contractKey } },
          { status: 401 },
        ),
        answer(words, { errorAfterChunks: 1, error: { message: `Bearer ${contractKey}`, type: 'server_error' } }),
      ]
      const { answer: ask } = await open(echoes)
      for (const [index] of echoes.entries()) {
        const run = await ask()
        assertProviderError(run.error)
        const told = `${run.error.message}\n${run.error.stack ?? ''}\n${JSON.stringify(run.error)}\n${inspect([run.error, run.events], { depth: 20, showHidden: true })}`
        assert.ok(!told.includes(contractKey), `The key is in the error or the events of echo ${index}.`)
      }
    },
  },
  'cut by fin': breaksAnywhere('the connection is closed in the middle of it', 'fin'),
  'cut by rst': breaksAnywhere('the connection is reset in the middle of it', 'rst'),
  'cut by end': breaksAnywhere('its HTTP body ends correctly, but in the middle of the answer', 'end'),
  'empty body': breaks('it has no body', [answer(words, { emptyBody: true })]),
  'blank body': breaks('its body is blank', [answer(words, { blankBody: true }), raw('   \n\n')]),
  'half json': breaks('its JSON is cut off', [answer(words, { truncatedJson: true })]),
  'malformed chunk': breaks('one piece of it is not JSON', [answer(words, { malformedChunk: 1 })]),
  'in-band error': {
    name: 'rejects with a ProviderError when an error arrives inside a 200, at the start or later',
    async check({ open }) {
      const replies = [
        answer(words, { errorAfterChunks: 0 }),
        answer(words, { errorAfterChunks: 2 }),
        answer(words, { errorAfterChunks: 2, errorThen: 'done' }),
      ]
      const { answer: ask } = await open(replies)
      for (const _ of replies) {
        const run = await ask()
        assertNoAnswer(run)
        assert.equal(run.outcome, 'rejected', 'It must reject.')
      }
    },
  },
  'no connection': {
    name: 'rejects with the reason network when nothing listens, and when the connection is reset before an answer',
    async check({ open }) {
      const { answer: ask, server } = await open(refuse('rst'))
      const reset = await ask()
      await server.down()
      const refused = await ask()
      for (const { error } of [reset, refused]) {
        assertProviderError(error)
        assert.equal(error.reason, 'network')
      }
    },
  },
} as const satisfies Record<string, Promised>

function maps(code: number, ...reasons: readonly FailureReason[]): Promised {
  return {
    name: `rejects with the reason ${reasons.join(' or ')} for a ${code}`,
    async check({ open }) {
      const run = await (await open(status(code))).answer()
      assertNoAnswer(run)
      assertProviderError(run.error)
      assert.ok(reasons.includes(run.error.reason), `The reason is ${run.error.reason}: ${run.error.message}`)
      assert.equal(run.error.status, code)
      assert.ok(run.error.message.length > 0, 'The error must say what happened.')
    },
  }
}

function breaks(how: string, replies: readonly Reply[]): Promised {
  return {
    name: `emits no finish and no tool call when ${how}`,
    async check({ open }: Stand) {
      const { answer: ask } = await open(replies)
      for (const _ of replies) assertNoAnswer(await ask())
    },
  }
}

/** Breaks an answer at each place where it can break. A JSON body has two: before its first byte and in the middle. */
function breaksAnywhere(how: string, cutBy: Conduct['cutBy']): Promised {
  return {
    name: `emits no finish and no tool call when ${how}`,
    async check({ open }) {
      const places = [0, 1, 2, 3, 4]
      const { answer: ask, target } = await open(places.map(cutAfterChunks => answer(words, { cutBy, cutAfterChunks })))
      const streams = target.provider.capabilities?.stream !== false
      for (const _ of streams ? places : places.slice(0, 2)) assertNoAnswer(await ask())
    },
  }
}
