import { ChainExhaustedError, type Client } from 'unbusy'
import { answer, startServer, status, type TestServer } from 'unbusy/testing'
import { afterEach, expect, test, vi } from 'vitest'
import {
  at,
  deploy,
  flagOf,
  folder,
  listAt,
  parseYaml,
  pathsOf,
  textAt,
  textOf,
  wordsAt,
  type Yaml,
} from '../helpers/deploy/read.ts'

/** The chain beside each recipe is loaded as it is written, with the address of a test server in its own variable. */
const variables = {
  vllm: 'VLLM_BASE_URLS',
  sglang: 'SGLANG_BASE_URLS',
  'tensorrt-llm': 'TENSORRT_LLM_BASE_URLS',
  'llama-cpp': 'LLAMA_BASE_URLS',
  ollama: 'OLLAMA_BASE_URL',
  fastapi: 'GENERATE_BASE_URL',
} as const

type Name = keyof typeof variables

const formats = { vllm: 'vllm', sglang: 'sglang', 'tensorrt-llm': 'vllm', 'llama-cpp': 'llama', ollama: 'ollama' } as const
const providers = { 'llama-cpp': 'llama', fastapi: 'text-generation' } as const
const names = Object.keys(variables) as Name[]
const privateFirst: readonly Name[] = ['vllm', 'sglang', 'tensorrt-llm']

const opened: AsyncDisposable[] = []

afterEach(async () => {
  vi.unstubAllEnvs()
  for (const each of opened.splice(0).toReversed()) await each[Symbol.asyncDispose]()
})

async function serve(name: Name): Promise<TestServer> {
  const server = await startServer(answer('From our own.'), { format: name === 'fastapi' ? 'text-generation' : formats[name] })
  opened.push(server)
  return server
}

async function chainOf(name: Name, addresses: readonly string[]): Promise<Client> {
  vi.stubEnv('DEEPSEEK_API_KEY', '')
  vi.stubEnv(variables[name], addresses.join(','))
  vi.resetModules()
  const { client } = (await import(`${folder}/${name}/chain.ts`)) as { readonly client: Client }
  opened.push(client)
  return client
}

test.each(names)('%s: its own server answers where DeepSeek has no key', async name => {
  const server = await serve(name)
  const client = await chainOf(name, [server.baseURL])
  const result = await client.generate({ prompt: 'Hi', maxOutputTokens: 64 })
  expect(result).toMatchObject({ text: 'From our own.', degraded: false, warnings: [] })
  expect(result.provider).toBe({ ...providers }[name as string] ?? name)
})

test.each(privateFirst)('%s: a lost replica is passed over, and what is confidential stays in the house', async name => {
  const [one, other] = [await serve(name), await serve(name)]
  const client = await chainOf(name, [one.baseURL, other.baseURL])
  await one.down()
  for (let call = 0; call < 4; call += 1) expect((await client.generate('Hi')).text).toBe('From our own.')
  other.replyWith(status(400))
  const failed = client.generate({ prompt: 'Hi', metadata: { confidential: true }, timeout: { totalMs: 1_000 } })
  const error = await failed.catch((thrown: unknown) => thrown)
  if (!ChainExhaustedError.isInstance(error)) throw error
  expect(error.attempts.find(({ provider }) => provider === 'deepseek')).toMatchObject({ outcome: 'skipped', reason: 'excluded' })
})

test.skipIf(deploy.isMissing).each(names)(
  `%s: the model and the address are those of the recipes${deploy.suffix}`,
  async name => {
    const server = await serve(name)
    const client = await chainOf(name, [server.baseURL])
    await client.generate('Hi')
    const sent = (server.requests.at(-1)?.json as { readonly model?: string } | undefined)?.model
    const [compose] = await parseYaml(textOf(`${name}/compose.yaml`))
    const addresses = [...textOf(`${name}/chain.ts`).matchAll(/'http:\/\/([\w-]+):(\d+)/g)].map(([, host, port]) => ({
      host,
      port,
    }))
    expect(addresses).toHaveLength(1)
    const [{ host = '', port = '' } = {}] = addresses
    const services = at(compose ?? null, 'services') as { readonly [service: string]: Yaml }
    expect(wordsAt(services[host], 'ports')).toEqual([`127.0.0.1:${port}:${port}`])
    if (name === 'fastapi') return
    expect(await servedBy(name)).toContain(sent)
  },
)

/** How the servers of the manifests call the model. */
async function servedBy(name: Name): Promise<readonly string[]> {
  const manifests = pathsOf(`${name}/{kubernetes,two-nodes}.yaml`)
  const documents = (await Promise.all(manifests.map(async path => parseYaml(textOf(path))))).flat()
  const pods = documents.flatMap(document => [
    at(document, 'spec', 'template'),
    at(document, 'spec', 'leaderWorkerTemplate', 'leaderTemplate'),
  ])
  return pods.flatMap(pod => {
    const container = at(pod, 'spec', 'containers', 0)
    const words = listAt(container, 'args')
    const loaded = /ollama pull (\S+)/.exec(textAt(container, 'lifecycle', 'postStart', 'exec', 'command', 2))?.[1]
    const served = flagOf(words, '--served-model-name') ?? flagOf(words, '--alias') ?? loaded ?? words[0]
    return typeof served === 'string' ? [served] : []
  })
}
