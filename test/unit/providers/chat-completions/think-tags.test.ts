import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createThinkTags } from '../../../../src/providers/chat-answer/think-tags.ts'

type Split = { readonly text: string; readonly reasoning: string }

function split(pieces: readonly string[], { opened = false, complete = true } = {}): Split {
  let text = ''
  let reasoning = ''
  const tags = createThinkTags({
    opened,
    onText: part => {
      text += part
    },
    onReasoning: part => {
      reasoning += part
    },
  })
  for (const piece of pieces) tags.write(piece)
  tags.end(complete)
  return { text, reasoning }
}

test.each<[string, Split]>([
  ['<think>a</think>b', { reasoning: 'a', text: 'b' }],
  ['\n <think>\na\n</think>\n\nb', { reasoning: 'a\n', text: 'b' }],
  ['<think>\n\n</think>\n\nb', { reasoning: '', text: 'b' }],
  ['</think>b', { reasoning: '', text: 'b' }],
  ['b', { reasoning: '', text: 'b' }],
  ['', { reasoning: '', text: '' }],
  [' b <think>c</think>', { reasoning: '', text: ' b <think>c</think>' }],
  ['<thinking>b', { reasoning: '', text: '<thinking>b' }],
  ['<think>a < b </thin b</think>c</think>', { reasoning: 'a < b </thin b', text: 'c</think>' }],
  ['<think>a', { reasoning: 'a', text: '' }],
  ['<think>a</thi', { reasoning: 'a</thi', text: '' }],
  [' <thi', { reasoning: '', text: ' <thi' }],
])('%j', (whole, expected) => {
  expect(split([whole])).toEqual(expected)
  expect(split(whole.split(''))).toEqual(expected)
})

test.each<[string, Split]>([
  ['a</think>\nb', { reasoning: 'a', text: 'b' }],
  ['<think>a</think>b', { reasoning: 'a', text: 'b' }],
  ['\na\n</think>\n\nb', { reasoning: 'a\n', text: 'b' }],
])('with a tag that the template has opened: %j', (whole, expected) => {
  expect(split([whole], { opened: true })).toEqual(expected)
  expect(split(whole.split(''), { opened: true })).toEqual(expected)
})

test('an opened tag that never closes was the answer after all', () => {
  expect(split([' Four', ' <b>.'], { opened: true })).toEqual({ reasoning: 'Four <b>.', text: ' Four <b>.' })
})

test('unless the token limit cut it, or the model had opened the tag itself', () => {
  expect(split(['So'], { opened: true, complete: false })).toEqual({ reasoning: 'So', text: '' })
  expect(split(['<think>So'], { opened: true })).toEqual({ reasoning: 'So', text: '' })
})

const fragment = fc.constantFrom('<think>', '</think>', '<', '</', 'think', '>', ' ', '\n', 'a', 'é', '<th', 'k>')
const pieces = fc.array(fragment, { maxLength: 24 })

test('the same comes out however the text is cut', () => {
  fc.assert(
    fc.property(pieces, fc.boolean(), fc.boolean(), (parts, opened, complete) => {
      const whole = split([parts.join('')], { opened, complete })
      expect(split(parts, { opened, complete })).toEqual(whole)
      expect(split(parts.join('').split(''), { opened, complete })).toEqual(whole)
    }),
  )
})

test('without a closing tag nothing is lost but the tag and the blanks around it', () => {
  fc.assert(
    fc.property(pieces, parts => {
      const whole = parts.join('')
      fc.pre(!whole.includes('</think>'))
      const { text, reasoning } = split(parts)
      const afterTag = whole.trimStart().startsWith('<think>') ? whole.trimStart().slice('<think>'.length).trimStart() : whole
      expect(text + reasoning).toBe(afterTag)
    }),
  )
})

test('blanks without end are not held back without end', () => {
  expect(split(Array.from({ length: 400 }, () => '\n')).text).toHaveLength(400)
})
