import {
  createClient,
  deepseek,
  llama,
  ollama,
  openai,
  type StreamEvent,
  StreamInterruptedError,
  textGeneration,
  vllm,
} from 'unbusy'
import { answer, type AnswerOptions, raw, type ReceivedRequest, type Reply, status } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { test } from '../helpers/vitest.ts'

const key = { apiKey: 'sk-test-0123456789abcdef' }
const quick = { baseDelayMs: 1, maxDelayMs: 1 }

type Seen = { shown: string; seams: string[]; finished: boolean; error: unknown }

/** What a reader has on the screen who obeys the events. */
async function read(stream: AsyncIterable<StreamEvent>): Promise<Seen> {
  const seen: Seen = { shown: '', seams: [], finished: false, error: undefined }
  try {
    for await (const event of stream) {
      if (event.type === 'text-delta') seen.shown += event.text
      if (event.type === 'restart') seen.shown = ''
      if (event.type === 'finish') seen.finished = true
      if (event.type === 'restart' || event.type === 'continue') seen.seams.push(event.type)
    }
  } catch (error) {
    seen.error = error
  }
  return seen
}

/** What the answer is to begin with: the last message, when it is the assistant's. */
function beginningOf({ json }: ReceivedRequest): string {
  const { messages } = json as { messages: { role: string; content: string }[] }
  const last = messages.at(-1)
  return last?.role === 'assistant' ? last.content : ''
}

const pieces = ['Erst ', '天空', ' 👩‍👩‍👧', ' – é', 'nd.']
const marked = (mark: string) => [mark, ...pieces]

const ways: Record<string, (position: number) => AnswerOptions> = {
  'a closed connection (R8)': position => ({ cutAfterChunks: position, cutBy: 'fin' }),
  'a reset connection (R8, R14)': position => ({ cutAfterChunks: position, cutBy: 'rst' }),
  'an end without a finish': position => ({ cutAfterChunks: position, cutBy: 'end' }),
  'a stall (R8)': position => ({ stallAfterChunks: position }),
  'an error in the stream (R5, R29)': position => ({ errorAfterChunks: position }),
  'half a JSON (R8)': position => ({ malformedChunk: position }),
}

/** Both servers give each answer that begins anew a mark of its own; asked to go on, they give the rest. */
function marking(texts: string[], conduct: AnswerOptions) {
  return (request: ReceivedRequest): Reply => {
    const beginning = beginningOf(request)
    const begun = texts.find(text => beginning !== '' && text.startsWith(beginning))
    if (begun !== undefined) return answer([begun.slice(beginning.length)])
    const text = marked(`<${texts.length}>`)
    texts.push(text.join(''))
    return answer(text, texts.length === 1 ? conduct : {})
  }
}

const modes = [
  ['fail', {}],
  ['restart', {}],
  ['continue', {}],
  ['continue', { holdBackChars: 8 }],
  ['restart', { holdBackMs: 5 }],
] as const

test.for(Object.keys(ways).flatMap(way => modes.map(([mode, hold]) => [way, mode, hold] as const)))(
  'cut by %s at every position with %s %j, a reader has one answer, or a part of one (R3, R33, R35)',
  async ([way, afterFirstToken, hold], { server }) => {
    const run = async (position: number) => {
      const texts: string[] = []
      // only a stall needs them; elsewhere a busy machine could trip over them
      const timeout = way.startsWith('a stall') ? { chunkMs: 150, firstChunkMs: 150 } : {}
      const one = await server(marking(texts, ways[way]?.(position) ?? {}), { format: 'deepseek' })
      const other = await server(marking(texts, {}), { format: position % 2 === 0 ? 'llama' : 'openai' })
      const second = position % 2 === 0 ? llama({ baseURL: other.baseURL }) : openai({ ...key, baseURL: other.baseURL })
      const client = createClient({
        chain: [deepseek({ ...key, baseURL: one.baseURL, retry: position % 3 === 0 ? 0 : 1, timeout }), second],
        ...{ retry: quick, afterFirstToken, ...hold },
      })
      onTestFinished(async () => client.close())
      const { shown, seams, finished, error } = await client.stream({ prompt: 'Hi', reasoning: 'off' }).then(read)
      if (error === undefined) {
        expect(finished).toBe(true)
        expect(texts).toContain(shown)
      } else {
        expect(afterFirstToken).toBe('fail')
        expect(error).toBeInstanceOf(StreamInterruptedError)
        expect(error).toMatchObject({ text: shown })
        expect(texts[0]?.startsWith(shown)).toBe(true)
        expect(finished).toBe(false)
      }
      const isHealed = position === 0 || 'holdBackChars' in hold ? undefined : seams.length
      if (isHealed !== undefined && afterFirstToken === 'restart' && !('holdBackMs' in hold)) expect(seams).toEqual(['restart'])
      if (afterFirstToken === 'fail') expect(seams).toEqual([])
      const whole = await client.generate({ prompt: 'Hi', reasoning: 'off' })
      expect(texts).toContain(whole.text)
    }
    await Promise.all(Array.from({ length: pieces.length + 1 }, async (_, position) => run(position)))
  },
)

test('cut at every byte, nothing but whole characters of one answer is shown, and the rest is put behind it exactly', async ({
  server,
}) => {
  const text = 'aé天🎉b'
  const body = Buffer.from(
    Array.from(text, content => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`).join(''),
  )
  const endings = ['fin', 'rst', 'end'] as const
  const run = async (at: number) => {
    const local = await server(
      [
        raw([body.subarray(0, at)], { contentType: 'text/event-stream', cutAfterChunks: 1, cutBy: endings[at % 3] }),
        request => answer([text.slice(beginningOf(request).length)]),
      ],
      { format: 'llama' },
    )
    const client = createClient({ chain: [llama({ baseURL: local.baseURL })], retry: quick, afterFirstToken: 'continue' })
    onTestFinished(async () => client.close())
    const seen = await client.stream('Hi').then(read)
    expect(seen).toMatchObject({ shown: text, finished: true, error: undefined })
    const beginning = local.requests.slice(1).map(beginningOf)
    for (const prefix of beginning) expect(text.startsWith(prefix)).toBe(true)
  }
  for (let at = 0; at < body.length; at += 24) {
    await Promise.all(Array.from({ length: Math.min(24, body.length - at) }, async (_, offset) => run(at + offset)))
  }
})

test.for([
  ['in its stream', true],
  ['in its JSON', false],
] as const)('a server that repeats the beginning %s, or does not, leads to the same text', async ([, stream], { server }) => {
  const before = 'Once upon a time, there was a '
  const after = 'little girl named Lily.'
  for (const echo of [before, '']) {
    const local = await server(answer([...(echo === '' ? [] : [echo.slice(0, 7), echo.slice(7)]), after]), { format: 'llama' })
    const broken = await server(answer([before], { cutAfterChunks: 1 }), { format: 'deepseek' })
    const client = createClient({
      chain: [deepseek({ ...key, baseURL: broken.baseURL, retry: 0 }), llama({ baseURL: local.baseURL, stream })],
      afterFirstToken: 'continue',
    })
    onTestFinished(async () => client.close())
    const seen = await client.stream({ prompt: 'Hi', reasoning: 'off' }).then(read)
    expect(seen).toMatchObject({ shown: before + after, seams: ['continue'] })
  }
})

test('a server that was asked to go on and begins again is not glued: its answer comes anew (R32)', async ({ server }) => {
  const before = 'The sky is blue because of the air'
  const local = await server(
    [answer([before], { cutAfterChunks: 1 }), answer([`${before.slice(0, 30)} light of the sun.`]), answer(['Anew.'])],
    { format: 'llama' },
  )
  const client = createClient({ chain: [llama({ baseURL: local.baseURL })], retry: quick, afterFirstToken: 'continue' })
  onTestFinished(async () => client.close())
  expect(await client.stream('Hi').then(read)).toMatchObject({ shown: 'Anew.', seams: ['restart'], error: undefined })
})

test.for([400, 404, 422])(
  'a %i to a prefix over a real socket leads to a restart on the same target',
  async (code, { server }) => {
    const local = await server(
      request =>
        beginningOf(request) === ''
          ? local.requests.length === 1
            ? answer(['Hello'], { cutAfterChunks: 1 })
            : answer(['Anew.'])
          : status(code),
      { format: 'vllm' },
    )
    const client = createClient({ chain: [vllm('m', { baseURL: local.baseURL })], retry: quick, afterFirstToken: 'continue' })
    onTestFinished(async () => client.close())
    expect(await client.stream('Hi').then(read)).toMatchObject({ shown: 'Anew.', seams: ['restart'], error: undefined })
    expect(await client.generate('Hi')).toMatchObject({ text: 'Anew.' })
  },
)

const formats = {
  deepseek: (baseURL: string) => deepseek({ ...key, baseURL, retry: 0 }),
  openai: (baseURL: string) => openai({ ...key, baseURL, retry: 0 }),
  llama: (baseURL: string) => llama({ baseURL, retry: 0 }),
  vllm: (baseURL: string) => vllm('m', { baseURL, retry: 0 }),
  ollama: (baseURL: string) => ollama('m', { baseURL, retry: 0 }),
  'text-generation': (baseURL: string) => textGeneration({ baseURL, retry: 0 }),
} as const

test.for(Object.keys(formats) as (keyof typeof formats)[])(
  'no wire format and no endpoint bypasses the chain: a %s answer that is cut or refused leads to the next target (R5, R6)',
  async (format, { server }) => {
    const replies = [
      answer('Half of it.', { cutAfterChunks: 1, cutBy: 'rst' }),
      status(503),
      answer('Half.', { truncatedJson: true }),
    ]
    for (const reply of replies) {
      const broken = await server(reply, { format })
      const local = await server(answer(['Whole.']), { format: 'llama' })
      const chain = [formats[format](broken.baseURL), llama({ baseURL: local.baseURL })]
      const client = createClient({ chain, afterFirstToken: 'restart' })
      onTestFinished(async () => client.close())
      expect(await client.generate('Hi')).toMatchObject({ text: 'Whole.', provider: 'llama' })
      expect((await client.stream('Hi').then(read)).shown).toBe('Whole.')
    }
  },
)

test.for([{ headersAfterMs: Infinity }, { firstChunkAfterMs: Infinity }, { stallAfterChunks: 1 }] as const)(
  'a server that goes silent is left, before its headers as well as in its body: %j (R79, R85)',
  async (conduct, { server }) => {
    const slow = await server(answer(['Half', ' of it.'], conduct), { format: 'openai' })
    const local = await server(answer(['Whole.']), { format: 'llama' })
    const client = createClient({
      chain: [
        openai({ ...key, baseURL: slow.baseURL, timeout: { headersMs: 50, firstChunkMs: 50, chunkMs: 50 } }),
        llama({ baseURL: local.baseURL }),
      ],
    })
    onTestFinished(async () => client.close())
    expect(await client.generate('Hi')).toMatchObject({ text: 'Whole.', attempts: [{ reason: 'timeout' }, {}] })
  },
)

test('keep-alives of a healthy stream keep it alive for longer than its first-token clock (R70)', async ({ server }) => {
  const queued = await server(answer('Late but here.', { keepAliveForMs: 600, keepAliveEveryMs: 5 }), { format: 'deepseek' })
  const client = createClient({ chain: [deepseek({ ...key, baseURL: queued.baseURL })], timeout: { firstChunkMs: 400 } })
  onTestFinished(async () => client.close())
  const { text, attempts } = await client.generate('Hi')
  expect(text).toBe('Late but here.')
  expect(attempts).toHaveLength(1)
})

test('a process that is killed in the middle of an answer leads to the next one, which goes on with it', async ({ server }) => {
  const dying = await server(answer(['Hello', ' wor', 'never'], { stallAfterChunks: 2 }), { format: 'deepseek' })
  const local = await server(request => answer([`ld, after "${beginningOf(request)}".`]), { format: 'llama' })
  const client = createClient({
    chain: [deepseek({ ...key, baseURL: dying.baseURL, retry: quick }), llama({ baseURL: local.baseURL })],
    afterFirstToken: 'continue',
  })
  onTestFinished(async () => client.close())
  const stream = await client.stream({ prompt: 'Hi', reasoning: 'off' })
  let shown = ''
  for await (const event of stream) {
    if (event.type === 'text-delta') shown += event.text
    if (shown === 'Hello wor') await dying.down()
  }
  expect(shown).toBe('Hello world, after "Hello wor".')
})

test.for([
  [400, 'mistral-small-2503 takes no top_k of 429.', 'invalid-request'],
  [500, 'Model mistral-2402-429 failed at 401 of 404 layers.', 'server-error'],
  [404, 'Model m-2503 does not exist.', 'not-found'],
] as const)(
  'a %i is not taken for anything else because digits in "%s" look like a status (R137)',
  async ([code, message, reason], { server }) => {
    const broken = await server(status(code, { error: { message } }), { format: 'openai' })
    const client = createClient({ chain: [openai('mistral-2503-402', { ...key, baseURL: broken.baseURL, retry: 0 })] })
    onTestFinished(async () => client.close())
    await expect(client.generate('Hi')).rejects.toMatchObject({ attempts: [{ reason, status: code }] })
  },
)
