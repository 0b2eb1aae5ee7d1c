import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { figures, interleave } from '../bench.ts'
import { peerModules } from '../peers-door.ts'
import { enabled } from './subjects.ts'
import type { Measure, Subject } from '../bench.ts'
import type { ClientName } from '../jobs.ts'

type ImportCost = { readonly cpuMs: number; readonly wallMs: number }
type Module = { readonly name: string; readonly client: ClientName; readonly urls: readonly string[] }

/** Counted from within, after Node itself has started: what stands in the way of a service's first request. */
const importCost = async (urls: readonly string[]): Promise<ImportCost> => {
  const script = `
    const cpu = process.cpuUsage()
    const before = performance.now()
    await Promise.all(${JSON.stringify(urls)}.map(url => import(url)))
    const { user, system } = process.cpuUsage(cpu)
    console.log(JSON.stringify({ cpuMs: (user + system) / 1000, wallMs: performance.now() - before }))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    env: { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' },
  })
  return JSON.parse(stdout) as ImportCost
}

/** A fresh process for each import. */
export const importTime: Measure = async bench => {
  const peers = await peerModules()
  const modules: readonly Module[] = enabled(bench, [
    { name: 'undici', client: 'undici', urls: [import.meta.resolve('undici')] },
    { name: 'openai', client: 'openai', urls: peers.openai },
    { name: 'ai + @ai-sdk/deepseek', client: 'ai', urls: peers.ai },
    { name: 'unbusy', client: 'unbusy', urls: [bench.entry] },
  ])
  for (const { urls } of modules) await importCost(urls)
  const wall = new Map<string, number[]>(modules.map(({ name }) => [name, []]))
  const sampled = modules.map(({ name, client, urls }): Subject => ({
    name,
    client,
    async sample() {
      const { cpuMs, wallMs } = await importCost(urls)
      wall.get(name)?.push(wallMs)
      return cpuMs
    },
  }))
  const cpu = await interleave(sampled, bench.effort.rounds)
  return [
    ...figures(cpu, 'undici', { measure: 'import', case: 'CPU', unit: 'ms' }),
    ...figures(wall, 'undici', { measure: 'import', case: 'wall', unit: 'ms' }),
  ]
}
