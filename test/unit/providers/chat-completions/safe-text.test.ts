import { inspect } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inBandFailure, failureOf } from '../../../../src/providers/chat-failure/failure.ts'
import { masked, safeName, textOfHtml } from '../../../../src/providers/chat-failure/safe-text.ts'
import { leastMs } from '../../../helpers/least-ms.ts'

test.each([
  'sk-1234567890abcdef',
  'sk-proj-****************abcd',
  'sk-or-v1-0123456789abcdef',
  'gsk_0123456789abcdefghij',
  'hf_0123456789abcdefghij',
  'nvapi-0123456789abcdef_x',
  'xai-0123456789abcdef',
  'AIzaSy0123456789abcdefghij',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln',
  'Bearer 0123456789abcdef',
  'Basic dXNlcjpwYXNz',
  '****abcd',
])('what looks like a key is masked: %s', key => {
  const safe = masked(`The key ${key} is wrong`, 300)
  expect(safe).toMatch(/^The key (?:Bearer |Basic )?\*\*\* is wrong$/)
})

test('the secrets that were handed in are masked wherever they stand', () => {
  const secrets = ['plainkey42', 'a whole prompt']
  const said = 'Key plainkey42 (plainkey42) asked for a whole prompt'
  expect(masked(said, 300, secrets)).toBe('Key *** (***) asked for ***')
  const failure = failureOf({
    status: 401,
    headers: {},
    body: JSON.stringify({ error: { message: said, param: 'plainkey42' } }),
    secrets,
  })
  expect(`${failure.message} ${failure.said}`).not.toMatch(/plainkey42|whole prompt/)
})

const echoes: readonly ((prompt: string) => unknown)[] = [
  prompt => ({ message: `bad message: ${JSON.stringify({ content: prompt })}` }),
  prompt => ({ message: `invalid type: string ${JSON.stringify(prompt)}, expected a map` }),
  prompt => ({ message: `[{'type': 'x', 'loc': ('body',), 'msg': 'no', 'input': '${prompt}'}]` }),
  prompt => ({ message: 'no', input: prompt, body: { messages: [prompt] } }),
  prompt => ({ message: [{ loc: ['body', 0], msg: 'no', input: prompt, ctx: { got: prompt } }] }),
  prompt => ({ message: 'no', metadata: { flagged_input: prompt } }),
  prompt => ({ message: `no [type=string_type, input_value=${prompt}, input_type=str]` }),
  prompt => ({ message: `last read: '"${prompt}'` }),
]

test('F74: no form in which servers echo a request brings the prompt into anything but `said`', () => {
  const word = fc.string({ unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz'.split('')), minLength: 4, maxLength: 9 })
  const prompt = fc.array(word, { minLength: 2, maxLength: 30 }).map(words => `Zqx ${words.join(' ')} xqZ`)
  fc.assert(
    fc.property(prompt, fc.constantFrom(...echoes), fc.integer({ min: 400, max: 599 }), (text, echo, status) => {
      for (const body of [{ error: echo(text) }, echo(text), { detail: echo(text) }]) {
        const failure = failureOf({ status, headers: {}, body: JSON.stringify(body) })
        expect(`${failure.message} ${inspect(failure, { showHidden: true })} ${JSON.stringify(failure)}`).not.toMatch(/Zqx|xqZ/)
      }
      const inBand = inBandFailure(echo(text), { status: 200, headers: {} })
      expect(`${inBand.message} ${inspect(inBand, { showHidden: true })}`).not.toMatch(/Zqx|xqZ/)
    }),
  )
})

test('a text is cut to its length, and read in bounds however it is built', () => {
  expect(masked('x'.repeat(400), 300)).toHaveLength(300)
  for (const part of ["'", '"', "'a", '[', '`', 'sk-', "a'b", '<', '*', 'request id ']) {
    expect(masked(part.repeat(50_000), 300).length).toBeLessThanOrEqual(300)
  }
})

test('a page says its title, or its words', () => {
  expect(textOfHtml('<html><title> Bad Gateway </title><p>no</p>')).toBe('Bad Gateway')
  expect(textOfHtml('<p>Not <b>here</b></p><script>x = 1</script>').replace(/\s+/g, ' ').trim()).toBe('Not here')
})

test('F72: a page of anything is looked at in bounds', () => {
  for (const part of ['<', '<script', '<title', '<title>', '<a', '>', '<!--']) {
    const page = part.repeat(100_000)
    expect(leastMs(() => textOfHtml(page), 50)).toBeLessThan(50)
  }
})

test('a name of the server stands in a message only when it is short and no key', () => {
  expect(safeName('context_length_exceeded')).toBe('context_length_exceeded')
  expect(safeName('messages[0].role')).toBe('messages[0].role')
  expect(safeName('a'.repeat(24))).toBe('')
  expect(safeName('the words of a prompt')).toBe('')
  expect(safeName('sk-0123456789')).toBe('')
  expect(safeName('plainkey42', ['plainkey42'])).toBe('')
})

test('F61: bytes that are no text are not kept', () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => (at * 37) % 256)).toString()
  expect(masked(bytes, 200)).toBe('')
  expect(masked('The name caf\uFFFD is not allowed', 200)).toBe('The name caf\uFFFD is not allowed')
})
