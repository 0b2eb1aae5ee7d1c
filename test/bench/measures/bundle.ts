import { fileURLToPath } from 'node:url'
import { loadBundler, peersFolder as peers } from '../peers-door.ts'
import { enabled } from './subjects.ts'
import type { Figure, Measure } from '../bench.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** What a program gets bigger by: minified and gzipped, as it would be deployed. */
export const bundle: Measure = async bench => {
  const { bundleSize } = await loadBundler()
  const entry = JSON.stringify(bench.entry === '' ? '' : fileURLToPath(bench.entry))
  const programs = enabled(bench, [
    { name: 'undici', client: 'undici', from: root, source: `export { Pool } from 'undici'` },
    { name: 'openai', client: 'openai', from: peers, source: `export { default } from 'openai'` },
    {
      name: 'ai + @ai-sdk/deepseek',
      client: 'ai',
      from: peers,
      source: `export { generateText, streamText } from 'ai'; export { createDeepSeek } from '@ai-sdk/deepseek'`,
    },
    { name: 'unbusy', client: 'unbusy', from: root, source: `export { createClient, deepseek } from ${entry}` },
  ] as const)
  const found: Figure[] = []
  for (const { name, client, from, source } of programs) {
    const about = { measure: 'bundle', subject: name, unit: 'KB', ratio: undefined } as const
    const all = await bundleSize({ source, from, packages: 'bundled' })
    found.push({ ...about, case: 'min', value: all.bytes / 1024 }, { ...about, case: 'min+gzip', value: all.gzipBytes / 1024 })
    if (client !== 'unbusy') continue
    const own = await bundleSize({ source, from, packages: 'external' })
    found.push({ ...about, case: 'without dependencies, min+gzip', value: own.gzipBytes / 1024 })
  }
  return found
}
