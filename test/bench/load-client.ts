import type { BenchClient } from './clients/client.ts'
import type { ClientName } from './jobs.ts'

/** Where each client lives. The peers' packages are found only from within their group of test/peers. */
const files: { readonly [name in ClientName]: string } = {
  undici: './clients/undici.ts',
  openai: '../peers/bench/openai.ts',
  ai: '../peers/bench/ai.ts',
  unbusy: './clients/unbusy.ts',
}

/** Loads one client and nothing of the others. */
export const loadClient = async (name: ClientName): Promise<BenchClient> => {
  const client = ((await import(files[name])) as { readonly [name in ClientName]?: BenchClient })[name]
  if (client === undefined) throw new Error(`${files[name]} exports no ${name}`)
  return client
}
