import { expect, test } from 'vitest'
import type { Call } from '../../../../src/contract.ts'
import { failureOf } from '../../../../src/providers/chat-failure/failure.ts'
import { withoutCallersText, withoutQuotes } from '../../../../src/providers/chat-failure/quoted-text.ts'

const asking = (...texts: readonly string[]): Call => ({
  model: 'm',
  messages: texts.map(content => ({ role: 'user', content })),
  metadata: {},
})

test.each([
  ['model `a b` is gone', 'model x is gone'],
  ['He said "no \\"money\\" left" to me', 'He said x to me'],
  ['It begins: "and never ends', 'It begins: x'],
  ["content: 'insufficient balance', go", 'content: x, go'],
  ["Invalid 'messages[0].content': it is wrong", "Invalid 'messages[0].content': it is wrong"],
  ["it isn't the user's fault", "it isn't the user's fault"],
  ['“余额不足”是什么', 'x是什么'],
  [`Error 402 - {'error': {'message': 'Insufficient Balance', 'type': 'x'}}`, 'Error 402 - {x: { Insufficient Balance , x: x}}'],
  ['Upstream: {"message":"Insufficient Balance","content":"rate limit"}', 'Upstream: { Insufficient Balance ,x:x}'],
])('R137: what %j quotes is no word of its own', (words, rest) => {
  expect(withoutQuotes(words)).toBe(rest)
})

const prompt = 'My bank says that I have insufficient balance and that I should recharge my account before Friday. Why?'

test('F74: what the server quotes of the prompt without any marks does not tell the cause', () => {
  const message = `Cannot render the template for: ${prompt.slice(0, 90)} (line 3)`
  const failure = (call?: Call) => failureOf({ status: 400, headers: {}, body: JSON.stringify({ error: { message } }), call })
  expect(failure(asking('Hi.', prompt)).reason).toBe('invalid-request')
  expect(failure(asking('Hi.')).reason).toBe('quota')
})

test('F74: words that are only the server’s own are kept, also when the caller asks about them', () => {
  const words = 'You exceeded your current quota, please check your plan and billing details.'
  expect(withoutCallersText(words, asking(`What does this mean? ${words}`))).toBe(words)
  const body = JSON.stringify({ error: { message: words } })
  expect(failureOf({ status: 400, headers: {}, body, call: asking(words) }).reason).toBe('quota')
})

test('F74: a run is removed wherever it begins in the prompt, and nothing else is', () => {
  for (let start = 0; start < 30; start += 1) {
    const run = prompt.slice(start, start + 48)
    expect(withoutCallersText(`[before] ${run} [after]`, asking(prompt)).replace(/\s+/g, ' ')).toBe('[before] [after]')
  }
  expect(withoutCallersText(`No: ${prompt.slice(0, 20)} is not long enough to be sure of it.`, asking(prompt))).toContain(
    'My bank',
  )
})
