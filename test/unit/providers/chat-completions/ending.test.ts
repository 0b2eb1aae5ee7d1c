import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ProviderEvent } from '../../../../src/contract.ts'
import { ProviderError } from '../../../../src/errors.ts'
import { readAnswer } from '../../../../src/providers/chat-answer/read-answer.ts'
import { laterUsage } from '../../../../src/providers/chat-answer/usage.ts'
import { delta, stream } from './replay.ts'

/** One answer being read, with what its reader asks of the attempt. */
function reading(status = 200) {
  const events: ProviderEvent[] = []
  const lingers: number[] = []
  const kept: { conclude: (() => void) | undefined; error: unknown } = { conclude: undefined, error: undefined }
  const attempted = (step: () => unknown): void => {
    try {
      step()
    } catch (error) {
      if (!ProviderError.isInstance(error)) throw error
      kept.error ??= error
    }
  }
  const reader = readAnswer({
    status,
    headers: {},
    emit: event => {
      // as the attempt does: content calls the wait off
      if (event.type.endsWith('-delta')) kept.conclude = undefined
      return events.push(event) > 0
    },
    linger: (listener, forMs) => {
      kept.conclude = listener
      lingers.push(forMs)
    },
  })
  const textOf = () => events.map(event => (event.type === 'text-delta' ? event.text : '')).join('')
  return {
    lingers,
    events,
    write: (text: string) => attempted(() => reader.write(text)),
    end: () => attempted(() => reader.end()),
    /** The connection is lost. Without an answer that is the attempt's failure. */
    reset: () => attempted(() => reader.lost?.()),
    /** Nothing comes any more. Without anybody who waits, the clocks of the attempt go on. */
    silence: () => attempted(() => kept.conclude?.()),
    isOver: () => reader.isOver?.() === true || kept.error !== undefined,
    isWaiting: () => kept.conclude !== undefined,
    outcome(): string {
      if (kept.error !== undefined) return (kept.error as ProviderError).reason
      const finish = events.at(-1)
      if (finish?.type !== 'finish') return 'nothing'
      const { inputTokens, outputTokens } = finish.usage ?? {}
      const counted = inputTokens === undefined && outputTokens === undefined ? '' : ` ${inputTokens}/${outputTokens}`
      return `${textOf()} ${finish.finishReason}${counted}`
    },
  }
}

const frame = (finish: string | null, more: object = {}) => ({ ...delta({}, finish), ...more })
const counts = (input: number, output: number) => ({ usage: { prompt_tokens: input, completion_tokens: output } })

/** What a server may do, in bytes. */
const steps = {
  text: stream(delta({ content: 'a' })),
  blank: stream(delta({ content: ' ' })),
  thought: stream(delta({ reasoning_content: 'hm' })),
  'text+stop': stream(delta({ content: 'b' }, 'stop')),
  stop: stream(frame('stop')),
  length: stream(frame('length')),
  'stop+usage': stream(frame('stop', counts(3, 4))),
  'no finish': stream(delta({}, 'null'), delta({}, ''), delta({}, null)),
  usage: stream({ id: 'x', choices: [], ...counts(5, 6) }),
  'no usage': stream({ id: 'x', choices: [], ...counts(0, 0) }),
  comment: ': keep-alive\n\n',
  done: stream('[DONE]'),
} as const
type Step = keyof typeof steps

/** What is right, written down a second time and in another way: from the whole story, not step by step. */
function rightly(told: readonly Step[], by: 'end' | 'reset' | 'silence'): string {
  const done = told.indexOf('done')
  const heard = done === -1 ? told : told.slice(0, done)
  const lastContent = heard.findLastIndex(step => step === 'text' || step === 'thought' || step === 'text+stop')
  const isFinish = (step: Step) => /stop|length/.test(step)
  const finish = heard.slice(Math.max(0, lastContent)).findLast(isFinish)
  const text = heard.map(step => ({ text: 'a', blank: ' ', 'text+stop': 'b' })[step as string] ?? '').join('')
  // a server that has sent no chunk has said nothing
  if (heard.every(step => step === 'comment')) {
    if (by === 'end' && done === -1) return 'overloaded'
    return done === -1 ? 'nothing' : 'truncated'
  }
  // chunks without a choice are all that came
  if (heard.every(step => step === 'comment' || step === 'usage' || step === 'no usage'))
    return done !== -1 || by === 'end' ? 'empty' : 'nothing'
  if (finish === undefined) return done !== -1 || by === 'end' ? 'truncated' : 'nothing'
  if (text.trim() === '') return 'empty'
  const usage = heard.findLast(step => step === 'usage' || step === 'stop+usage')
  return `${text} ${finish === 'length' ? 'length' : 'stop'}${usage === undefined ? '' : usage === 'usage' ? ' 5/6' : ' 3/4'}`
}

const aStory = fc.array(fc.constantFrom(...(Object.keys(steps) as Step[])), { maxLength: 7 })
const anEnd = fc.constantFrom('end' as const, 'reset' as const, 'silence' as const)

test('any order of what a server can say, cut anywhere and ended anyhow, is the right one of answer, truncated and empty (F1, F2, F4, F5, F7, F36)', () => {
  fc.assert(
    fc.property(aStory, anEnd, fc.array(fc.nat({ max: 60 }), { maxLength: 30 }), (told, by, cuts) => {
      const answer = reading()
      let rest = told.map(step => steps[step]).join('')
      for (const cut of cuts) {
        answer.write(rest.slice(0, cut))
        rest = rest.slice(cut)
      }
      answer.write(rest)
      if (!answer.isOver()) answer[by]()
      expect(answer.outcome()).toBe(rightly(told, by))
    }),
    { numRuns: 3_000 },
  )
})

test('no answer comes later than it need: at [DONE], a moment after finish and usage, a second after a finish (F1, F3)', () => {
  fc.assert(
    fc.property(aStory, told => {
      const answer = reading()
      for (const [index, step] of told.entries()) {
        const before = answer.lingers.length
        answer.write(steps[step])
        expect(answer.isOver()).toBe(step === 'done')
        if (step === 'done') return
        // signs of life, and the same again, hold nothing off
        if (step === 'comment' || step === 'no usage' || step === 'blank') expect(answer.lingers).toHaveLength(before)
        const isFinished = !['nothing', 'truncated', 'overloaded'].includes(rightly(told.slice(0, index + 1), 'reset'))
        expect(answer.isWaiting()).toBe(isFinished)
      }
      const waits = answer.lingers.length
      expect(answer.lingers.every(forMs => forMs === 100 || forMs === 1_000 || forMs === 10_000)).toBe(true)
      for (let again = 0; again < 5; again += 1) answer.write(': comment\n\n' + steps['no usage'])
      expect(answer.lingers).toHaveLength(waits)
    }),
    { numRuns: 2_000 },
  )
})

test.for([
  ['a finish: usage may come', [steps.text, steps.stop], [1_000]],
  ['a finish with usage', [steps.text, steps['stop+usage']], [100]],
  ['usage behind the finish, and again', [steps.text, steps.stop, steps.usage, steps.usage, steps.stop], [1_000, 100]],
  ['usage of zeros', [steps.text, steps.stop, steps['no usage']], [1_000]],
  ['usage before the finish', [steps.text, steps.usage, steps.stop], [1_000]],
  ['finish and usage without a text', [steps['stop+usage']], [1_000]],
  ['text and finish in one', [steps['text+stop'], steps.usage], [1_000, 100]],
  // a first token of a slow model is no answer
  ['all in one', [stream({ ...delta({ content: 'a' }, 'stop'), ...counts(1, 2) })], [1_000]],
  ['a finish with each piece', [steps['text+stop'], steps['text+stop']], [1_000, 10_000]],
  ['a finish with each piece, and usage', [steps['text+stop'], steps['text+stop'], steps.usage], [1_000, 10_000]],
  // its first token may take seconds
  ['a finish on the frame that opens the message (F4)', [stream(delta({ role: 'assistant', content: '' }, 'stop'))], []],
  [
    'finish and usage, and both again behind more content',
    [steps['stop+usage'], steps.text, steps['stop+usage'], steps.text, steps['stop+usage']],
    [1_000, 100, 100],
  ],
  ['all in one read', [steps.text + steps.stop + steps.usage + steps.done], []],
] as const)('how long more may come after %s', ([, told, waits]) => {
  const answer = reading()
  for (const bytes of told) answer.write(bytes)
  expect(answer.lingers).toEqual(waits)
})

test('a finish is no content: what is behind it does not wait for a slow reader', () => {
  const reader = readAnswer({ status: 200, headers: {}, emit: event => event.type !== 'text-delta' })
  expect(reader.write(steps.text)).toBe(false)
  expect(reader.write(steps.text + steps.stop)).toBe(true)
  expect(reader.write(steps['text+stop'])).toBe(false)
})

test('behind a finish nothing that cannot be read takes the answer away (F2)', () => {
  for (const rest of ['data: {"choices":[],"usa', 'data: [END]\n\n', 'data: "done"\n\n', 'data: null\n\n', ': OK']) {
    for (const by of ['end', 'reset', 'silence'] as const) {
      const answer = reading()
      answer.write(steps.text + steps.stop)
      answer.write(rest)
      answer[by]()
      expect(answer.outcome()).toBe('a stop')
    }
  }
})

test('the last word counts: an error behind a finish is one, and so is a finish that is a failure', () => {
  for (const last of [
    stream({ error: { message: 'x', code: 500 } }),
    'event: error\ndata: {"message":"x"}\n\n',
    stream(frame('error')),
  ]) {
    const answer = reading()
    answer.write(steps.text + steps.stop + last)
    expect(answer.outcome()).toBe('server-error')
  }
})

test('a reset in the middle of the last event: content in it reopens the answer, and is not lost in a success', () => {
  const answer = reading()
  answer.write(steps.text + steps.stop + stream(delta({ content: 'more' })).trimEnd())
  answer.reset()
  expect(answer.outcome()).toBe('nothing')
})

test.for(['network_error', 'error', 'ERROR', 'aborted', 'insufficient_system_resource'])(
  'native_finish_reason %s is a failure, whatever the gateway made of it (F6)',
  native => {
    for (const finish of ['stop', 'tool_calls', 'error', null]) {
      const choice = { index: 0, finish_reason: finish, native_finish_reason: native }
      const streamed = reading()
      streamed.write(steps.text + stream({ id: 'x', choices: [{ ...choice, delta: { content: '' } }] }, '[DONE]'))
      const whole = reading()
      whole.write(JSON.stringify({ choices: [{ ...choice, message: { content: 'half' } }] }))
      whole.end()
      for (const answer of [streamed, whole]) expect(answer.outcome()).toMatch(/^(?:server-error|truncated|overloaded)$/)
    }
  },
)

test.for(['stop', 'STOP', 'end_turn', 'completed', 'null', '', null, 7])(
  'native_finish_reason %j takes nothing from the finish beside it (F6)',
  native => {
    const answer = reading()
    const choice = { index: 0, delta: {}, finish_reason: 'length', native_finish_reason: native }
    answer.write(steps.text + stream({ choices: [choice] }, '[DONE]'))
    expect(answer.outcome()).toBe('a length')
  },
)

test.for(['null', 'NULL', ' null ', '', 'none', 'undefined', 0, false, {}, []])('finish_reason %j is none (F5)', word => {
  const piece = (content: string) => stream({ choices: [{ index: 0, delta: { content }, finish_reason: word }] })
  const whole = reading()
  whole.write(piece('a') + piece('b') + steps.length + steps.done)
  expect(whole.outcome()).toBe('ab length')
  const cut = reading()
  cut.write(piece('a') + piece('b'))
  cut.end()
  expect(cut.outcome()).toBe('truncated')
  const document = reading()
  document.write(JSON.stringify({ choices: [{ message: { content: 'a' }, finish_reason: word }] }))
  document.end()
  expect(document.outcome()).toBe('a other')
})

test('a word that nobody knows is a finish, and says less than one that is known', () => {
  const answer = reading()
  answer.write(steps.text + stream(frame('whatever')))
  expect(answer.isWaiting()).toBe(true)
  answer.write(steps.length + stream(frame('whatever')) + steps.done)
  expect(answer.outcome()).toBe('a length')
})

test.for([
  ['all zero, then figures (F7)', [counts(0, 0), counts(0, 0), counts(3, 4)], '3/4'],
  ['figures, then all zero (F7)', [counts(3, 4), counts(0, 0)], '3/4'],
  ['all zero with a text (F7)', [counts(0, 0), counts(0, 0)], ''],
  ['counting up (F36)', [counts(3, 1), counts(3, 2), counts(3, 9)], '3/9'],
  ['input first, output last', [counts(20, 1), { usage: { completion_tokens: 9 } }], '20/9'],
  ['no output counted beside a text', [counts(20, 0)], '20/undefined'],
  ['null at the end', [counts(3, 4), { usage: null }], '3/4'],
] as const)('usage: %s', ([, reports, told]) => {
  const answer = reading()
  for (const report of reports) answer.write(stream({ ...delta({ content: 'a' }), ...report }))
  answer.write(steps.stop + steps.done)
  expect(answer.outcome().replace(/^a+ stop ?/, '')).toBe(told)
})

test('no figure is lost to a later report that does not have it', () => {
  const first = { inputTokens: 3, cachedInputTokens: 2, outputTokens: 4, reasoningTokens: 1, totalTokens: 7 }
  const zeros = { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0, reasoningTokens: 0, totalTokens: 0 }
  expect(laterUsage(first, zeros)).toEqual(first)
  expect(laterUsage(first, { inputTokens: 9, outputTokens: 0 })).toEqual({ ...first, inputTokens: 9 })
  expect(laterUsage(zeros, first)).toEqual(first)
  expect(laterUsage(undefined, zeros)).toEqual(zeros)
})

test('what is over stays so: its end, a reset and a silence tell nothing again', () => {
  const answer = reading()
  answer.write(steps.text + steps.stop + steps.done)
  const told = answer.events.length
  answer.end()
  answer.reset()
  answer.silence()
  expect(answer.events).toHaveLength(told)
  expect(answer.outcome()).toBe('a stop')
})

test('usage that came before the finish does not close the answer: the last one is still to come (F36)', () => {
  const answer = reading()
  answer.write(stream({ ...delta({ content: 'a' }), ...counts(3, 1) }) + steps.stop)
  expect(answer.lingers).toEqual([1_000])
  answer.write(steps.usage)
  answer.silence()
  expect(answer.outcome()).toBe('a stop 5/6')
})

const document = JSON.stringify({
  choices: [{ message: { content: 'a "}" \\ {[' }, finish_reason: 'stop' }],
  note: '\\"}]',
})

test('a JSON document is whole with its last bracket, however it is cut: silence and a reset behind it take nothing (F1, F2)', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 30 })), fc.constantFrom('', ' ', '\n\n'), anEnd, (cuts, blank, by) => {
      const answer = reading()
      let rest = `\n${document}${blank}`
      for (const cut of cuts) {
        answer.write(rest.slice(0, cut))
        rest = rest.slice(cut)
      }
      answer.write(rest)
      expect(answer.lingers).toEqual([1_000])
      expect(answer.isOver()).toBe(false)
      answer[by]()
      expect(answer.outcome()).toBe('a "}" \\ {[ stop')
      expect(answer.isOver()).toBe(true)
    }),
  )
})

test('half a JSON document is none, at no end', () => {
  const outcomes = (['end', 'reset', 'silence'] as const).map(by => {
    const answer = reading()
    answer.write(document.slice(0, -1))
    expect(answer.isWaiting()).toBe(false)
    answer[by]()
    return answer.outcome()
  })
  expect(outcomes).toEqual(['truncated', 'nothing', 'nothing'])
})

test('one piece of a stream is no document, and documents in a row are none at all', () => {
  const piece = reading()
  piece.write(JSON.stringify(delta({ content: 'a' })))
  piece.end()
  expect(piece.outcome()).toBe('truncated')
  for (const second of ['{}', '\n{"choices":[]}', 'x\n']) {
    const row = reading()
    row.write(document)
    row.write(second)
    expect(row.outcome()).toBe('malformed-response')
  }
})

test('the page of an error status is not waited for longer than a second', () => {
  const answer = reading(429)
  answer.write('{"error":{"message":"slow down"')
  expect(answer.lingers).toEqual([1_000])
  answer.silence()
  expect(answer.outcome()).toBe('rate-limit')
})

const line = (fields: object) => `${JSON.stringify({ model: 'm', ...fields })}\n`
const said = (content: string) => line({ message: { role: 'assistant', content }, done: false })

test.for(['stop', 'null', '', undefined])("Ollama's last line ends an answer at once, with done_reason %j (F3, F5)", reason => {
  const answer = reading()
  answer.write(said('a'))
  expect(answer.isOver()).toBe(false)
  answer.write(line({ message: { content: '' }, done: true, done_reason: reason, prompt_eval_count: 0, eval_count: 0 }))
  expect(answer.isOver()).toBe(true)
  expect(answer.outcome()).toBe('a stop')
})

test("Ollama's lines: a reset before the last one is a cut, behind it nothing; an early `done` counts no more when a text follows (F2, F4)", () => {
  const lost = reading()
  lost.write(said('a'))
  lost.reset()
  expect(lost.outcome()).toBe('nothing')
  const unended = reading()
  unended.write(said('a') + line({ done: true, done_reason: 'length' }).trimEnd())
  unended.reset()
  expect(unended.outcome()).toBe('a length')
  const early = reading()
  early.write(line({ message: { content: '' }, done: true, done_reason: 'stop' }))
  expect(early.lingers).toEqual([1_000])
  early.write(said('a'))
  early.end()
  expect(early.outcome()).toBe('truncated')
  const empty = reading()
  empty.write(line({ message: { content: '' }, done: true, done_reason: 'stop' }))
  empty.silence()
  expect(empty.outcome()).toBe('empty')
})
