/**
 * What the bench server sends. Sizes are those of DeepSeek: 572 bytes for a JSON reply, about 292 for the event of one token.
 */

const words = [
  ' the',
  ' sky',
  ' is',
  ' blue',
  ' because',
  ' light',
  ' of',
  ' short',
  ' waves',
  ' is',
  ' scattered',
  ' most',
  ' by',
  ' air',
]

const tokens = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => words[index % words.length] ?? '')

/** The text that an answer of so many tokens holds. Every call of every client is compared with it. */
export const answerText = (count: number): string => tokens(count).join('')

const usage = (count: number): object => ({
  prompt_tokens: 12,
  completion_tokens: count,
  total_tokens: 12 + count,
  prompt_cache_hit_tokens: 0,
  prompt_cache_miss_tokens: 12,
})

const fingerprint = (length: number): string => 'fp_'.padEnd(length, '8333852bec0820240623')

const eventOf = (choice: object, more: object = {}): string => {
  const event = {
    id: '1f633d8b-fc65-4e2e-9c8e-8b4d4c2a8f10',
    object: 'chat.completion.chunk',
    created: 1_785_000_000,
    model: 'deepseek-flash',
    system_fingerprint: fingerprint(48),
    choices: [{ index: 0, ...choice, logprobs: null }],
    ...more,
  }
  return `data: ${JSON.stringify(event)}\n\n`
}

/** Every event of a streamed answer: the role, one for each token, the finish with the usage, and the end mark. */
export const answerEvents = (count: number): readonly string[] => [
  eventOf({ delta: { role: 'assistant', content: '' }, finish_reason: null }),
  ...tokens(count).map(content => eventOf({ delta: { content }, finish_reason: null })),
  eventOf({ delta: { content: '' }, finish_reason: 'stop' }, { usage: usage(count) }),
  'data: [DONE]\n\n',
]

/** The same answer as one JSON document. Padded in its fingerprint, so that 27 tokens make 572 bytes. */
export const answerJson = (count: number, bytes: number): string => {
  const reply = (padding: number): string =>
    JSON.stringify({
      id: '1f633d8b-fc65-4e2e-9c8e-8b4d4c2a8f10',
      object: 'chat.completion',
      created: 1_785_000_000,
      model: 'deepseek-flash',
      choices: [{ index: 0, message: { role: 'assistant', content: answerText(count) }, logprobs: null, finish_reason: 'stop' }],
      usage: usage(count),
      system_fingerprint: fingerprint(padding),
    })
  return reply(Math.max(3, 3 + bytes - reply(3).length))
}

export const busyJson = JSON.stringify({
  error: {
    message: 'Service is too busy. Please try again later.',
    type: 'service_unavailable_error',
    param: null,
    code: 'busy',
  },
})
