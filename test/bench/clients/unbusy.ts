/** unbusy with everything on. `UNBUSY_ENTRY` says which build: `dist/index.js`, a bundle of the sources, or the sources themselves. */

import { z } from 'zod'
import { model, prompt } from './client.ts'
import type { BenchClient } from './client.ts'
import type { Ask, Dialect } from '../jobs.ts'
import type * as Unbusy from '../../../src/index.ts'

type Library = typeof Unbusy
type Client = ReturnType<Library['createClient']>
type Target = ReturnType<Library['openaiCompatible']>

const entry = process.env['UNBUSY_ENTRY']
if (entry === undefined) throw new Error('UNBUSY_ENTRY must name the module to measure.')
const { createClient, ollama, openaiCompatible, textGeneration } = (await import(entry)) as Library

const targetAt = (baseURL: string): Target => openaiCompatible(model, { name: 'bench', baseURL, apiKey: 'x' })

const readStream = async (client: Client, onFirst?: () => void): Promise<string> => {
  let text = ''
  for await (const event of await client.stream(prompt)) {
    if (event.type !== 'text-delta') continue
    if (text === '') onFirst?.()
    text += event.text
  }
  return text
}

const targetOf = (baseURL: string, dialect: Dialect): Target => {
  if (dialect === 'ollama') return ollama(model, { baseURL })
  if (dialect === 'text') return textGeneration({ baseURL })
  return openaiCompatible(model, { name: 'bench', baseURL, apiKey: 'x', stream: dialect === 'chat', thinkTags: true })
}

type Tree = { child?: Tree | undefined; children?: readonly Tree[] | undefined }
const tree: z.ZodType<Tree> = z.object({
  child: z.lazy(() => tree).optional(),
  children: z.array(z.lazy(() => tree)).optional(),
})

/** Schemas that take nothing: what they cost is the caller's own. */
const asked = {
  text: {},
  typed: { output: z.object({ text: z.string().optional(), list: z.unknown().optional() }) },
  tree: { output: tree },
  tools: { tools: { f: { inputSchema: z.unknown() } } },
} as const satisfies { readonly [ask in Ask]: object }
type Input = {
  readonly prompt: string
  readonly output?: z.ZodType
  readonly tools?: { readonly f: { readonly inputSchema: z.ZodType } }
}

export const unbusy: BenchClient = {
  name: 'unbusy',
  call(baseURL) {
    const client = createClient({ chain: [targetAt(baseURL)] })
    return async () => (await client.generate(prompt)).text
  },
  stream(baseURL) {
    const client = createClient({ chain: [targetAt(baseURL)] })
    return onFirst => readStream(client, onFirst)
  },
  // No retry and no breaker: a target that is always busy would soon not be asked any more, and then nothing is measured.
  fallback(busyURL, baseURL) {
    const client = createClient({ chain: [{ ...targetAt(busyURL), retry: 0 }, targetAt(baseURL)], breaker: false })
    return async () => (await client.generate(prompt)).text
  },
  async hostile(baseURL, dialect, ask) {
    await using client = createClient({ chain: [{ ...targetOf(baseURL, dialect), retry: 0 }], breaker: false })
    const input: Input = { prompt, ...asked[ask] }
    await client.generate(input).catch(() => {})
    await client
      .stream(input)
      .then(stream => stream.result())
      .catch(() => {})
  },
}
