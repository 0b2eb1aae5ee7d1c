import { join } from 'node:path'
import { createClient, llama, type Client, type GenerateInput, type LlamaOptions, type Message } from 'unbusy'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { llamaServer, startLlama, type LlamaServer } from '../helpers/llama-server.ts'

const template = join(import.meta.dirname, 'templates', 'think.jinja')

/** The model writes nonsense, but small letters while it thinks and capitals when it answers: so whatever strays is seen. */
const grammar = String.raw`root ::= [a-z]{12,24} "\n</think>\n\n" [A-Z]{12,24}`
const thought = expect.stringMatching(/^[a-z]{12,24}\n?$/) as string
const answer = expect.stringMatching(/^[A-Z]{12,24}$/) as string
const asked = {
  prompt: 'Think.',
  temperature: 0.8,
  seed: 1,
  maxOutputTokens: 200,
  extraBody: { grammar },
} satisfies GenerateInput

/** How a server hands on what its model thinks, and what our target has to be told of it. */
const ways: Record<string, { readonly values: readonly string[]; readonly options: LlamaOptions }> = {
  'in a field of its own, as it does by itself': { values: [], options: {} },
  'in a field of its own': { values: ['--reasoning-format', 'deepseek'], options: {} },
  'within its tags': { values: ['--reasoning-format', 'none'], options: {} },
  'as the model writes it, which the prompt has opened the tag for': {
    values: ['--skip-chat-parsing'],
    options: { thinkTags: 'opened' },
  },
}

describe.skipIf(llamaServer.isMissing).each(Object.entries(ways))(
  `llama.cpp with a template that thinks, which hands the thought on %s${llamaServer.suffix}`,
  (_, { values, options }) => {
    let server: LlamaServer
    beforeAll(async () => {
      server = await startLlama(['--chat-template-file', template, ...values])
    })
    afterAll(async () => server?.stop())

    const clientOf = (more: LlamaOptions = {}): Client => {
      const client = createClient({ chain: [llama({ baseURL: server.baseURL, retry: 0, ...options, ...more })] })
      onTestFinished(async () => client.close())
      return client
    }

    test.each([true, false])('thought and answer are told apart (stream on the wire: %s)', async stream => {
      for (let seed = 1; seed <= 5; seed += 1) {
        const result = await clientOf({ stream }).generate({ ...asked, seed })
        expect(result).toMatchObject({ text: answer, reasoningText: thought, finishReason: 'stop', warnings: [] })
      }
    })

    test('a stream hands on the thought piece by piece, then the answer piece by piece', async () => {
      const stream = await clientOf().stream(asked)
      const kinds: string[] = []
      for await (const { type } of stream) if (type.endsWith('-delta') && kinds.at(-1) !== type) kinds.push(type)
      expect(kinds).toEqual(['reasoning-delta', 'text-delta'])
      expect(await stream.result()).toMatchObject({ text: answer, reasoningText: thought })
    })

    test('reasoning that is switched off does not begin: the template closes the tag, and all is answer', async () => {
      const off = { ...asked, reasoning: 'off', extraBody: { grammar: 'root ::= [A-Z]{12,24}' } } as const
      expect(await clientOf().generate(off)).toMatchObject({ text: answer, finishReason: 'stop' })
      expect(await server.lastPrompt()).toMatch(/<think>\n<\/think>\n\n$/)
    })

    test('each level reaches the template, and without one the server decides', async () => {
      for (const reasoning of ['low', 'high', 'max'] as const) {
        await clientOf().generate({ ...asked, reasoning })
        expect(await server.lastPrompt()).toMatch(new RegExp(`Effort: ${reasoning}<.*<think>\n$`, 's'))
      }
      await clientOf().generate(asked)
      expect(await server.lastPrompt()).toMatch(/^(?!.*Effort).*<think>\n$/s)
    })

    test('a thought that uses up the tokens is no answer: it is asked again without thinking', async () => {
      const endless = { ...asked, maxOutputTokens: 8, extraBody: { grammar: 'root ::= [a-z]+' } }
      const outcome = clientOf().generate(endless)
      // where only the end of a thought is ever marked, a text that was cut may be one, and is not handed out as the answer
      if (options.thinkTags === 'opened') return expect(outcome).rejects.toMatchObject({ cause: { reason: 'empty' } })
      const { text, finishReason, warnings } = await outcome
      expect(text).toMatch(/^[a-z]+$/)
      expect(finishReason).toBe('length')
      expect(warnings).toMatchObject([{ setting: 'reasoning' }])
      expect(await server.lastPrompt()).toMatch(/<think>\n<\/think>\n\n$/)
    })

    test('what was thought in earlier turns, by any target, reaches the template', async () => {
      const messages: Message[] = [
        { role: 'user', content: 'Two and two?' },
        { role: 'assistant', content: 'Four.', reasoningText: 'They add up.' },
        { role: 'user', content: 'And two?' },
        { role: 'assistant', content: 'Six.' },
        { role: 'user', content: 'And two?' },
      ]
      const { extraBody, seed } = asked
      expect(await clientOf().generate({ messages, extraBody, seed })).toMatchObject({ text: answer, reasoningText: thought })
      expect(await server.lastPrompt()).toContain('assistant\n<think>\nThey add up.\n</think>\n\nFour.<|im_end|>')
      expect(await server.lastPrompt()).toContain('assistant\nSix.<|im_end|>')
    })

    // llama.cpp forgets the beginning when it was told to parse nothing (seen at b11669)
    if (options.thinkTags === 'opened') return
    test('it goes on from a beginning without a new thought', async () => {
      const messages: Message[] = [
        { role: 'user', content: 'Tell me a story.' },
        { role: 'assistant', content: 'Once upon a time', prefix: true },
      ]
      const { text, reasoningText } = await clientOf().generate({ messages, temperature: 0, maxOutputTokens: 8 })
      expect(await server.lastPrompt()).toMatch(/<\/think>\n\nOnce upon a time$/)
      expect({ text, reasoningText }).toEqual({ text: expect.stringMatching(/\w/) as string, reasoningText: '' })
    })
  },
)
