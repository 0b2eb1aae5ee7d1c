/** unbusy with everything on. `UNBUSY_ENTRY` says which build: `dist/index.js`, a bundle of the sources, or the sources themselves. */

import { model, prompt } from './client.ts'
import type { BenchClient } from './client.ts'
import type * as Unbusy from '../../../src/index.ts'

type Library = typeof Unbusy
type Client = ReturnType<Library['createClient']>
type Target = ReturnType<Library['openaiCompatible']>

const entry = process.env['UNBUSY_ENTRY']
if (entry === undefined) throw new Error('UNBUSY_ENTRY must name the module to measure.')
const { createClient, openaiCompatible } = (await import(entry)) as Library

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
}
