import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { createClient, llama } from 'unbusy'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { at, deploy, listAt, parseYaml, textAt, textOf, wordOf, wordsAt, type Yaml } from '../helpers/deploy/read.ts'
import { type LlamaServer, llamaServer, startLlama } from '../helpers/llama-server.ts'

/** What the server of the tests has already, or does not have: the model from a hub, and another address. */
const notHere = new Set(['-hf', '--host', '--port', '-c', '-np'])

let server: LlamaServer

describe.skipIf(llamaServer.isMissing || deploy.isMissing)(
  `the recipes of llama.cpp on a real one${llamaServer.suffix}${deploy.suffix}`,
  () => {
    beforeAll(async () => {
      server = await startLlama([
        ...(await flagsOf('llama-cpp/kubernetes.yaml')),
        '--parallel',
        '4',
        '--api-key',
        'for-tests-only',
      ])
    })
    afterAll(async () => server?.stop())

    test('it takes the flags, and is called as the chain calls it', async () => {
      const client = createClient({
        chain: [llama('deepseek-r1-distill-qwen-32b', { baseURL: server.baseURL, apiKey: 'for-tests-only' })],
      })
      const { response } = await client.generate({ prompt: 'Once', maxOutputTokens: 2 })
      expect(response?.model).toBe('deepseek-r1-distill-qwen-32b')
      await client.close()
    })

    test('a Mac and the compose file start it with the same flags', async () => {
      const [compose] = await parseYaml(textOf('llama-cpp/compose.yaml'))
      const manifest = await flagsOf('llama-cpp/kubernetes.yaml')
      expect(own(listAt(compose, 'services', 'llama-cpp', 'command'))).toEqual(manifest)
      const script = { LLAMA_SERVER: 'echo', LLAMA_API_KEY: 'for-tests-only', PATH: process.env['PATH'] }
      const { stdout } = await promisify(execFile)('bash', [`${import.meta.dirname}/../../examples/deploy/llama-cpp/mac.sh`], {
        env: script,
      })
      const words = own(stdout.trim().split(' '))
      expect(words.map(word => word.replace('llama-70b', 'qwen-32b')).toSorted()).toEqual(manifest.toSorted())
      expect(stdout).toContain('--port 8080')
      expect(stdout).not.toContain('for-tests-only')
    })

    test('before it is told to stop, Kubernetes waits until no slot works, and not longer', async () => {
      const client = createClient({ chain: [llama({ baseURL: server.baseURL, apiKey: 'for-tests-only' })] })
      const running = client.generate({ prompt: 'Once', maxOutputTokens: 1_500, extraBody: { ignore_eos: true } })
      let isOver = false
      void running.then(() => (isOver = true))
      await vi.waitFor(async () => expect(await client.generate({ prompt: 'Hi', maxOutputTokens: 1 })).toBeDefined())
      expect(isOver).toBe(false)
      await preStop()
      // it has waited for this one
      await vi.waitFor(() => expect(isOver).toBe(true), { timeout: 300, interval: 5 })
      await running
      const startedAt = performance.now()
      await preStop()
      expect(performance.now() - startedAt).toBeLessThan(2_000)
      await client.close()
    })
  },
)

/** Runs the hook of the manifest, at the port of the test's server. Its first seconds, for the proxies, are left out. */
async function preStop(): Promise<void> {
  const container = await containerOf('llama-cpp/kubernetes.yaml')
  const [shell = '', flag = '', script = ''] = wordsAt(container, 'lifecycle', 'preStop', 'exec', 'command')
  expect(script).toContain('sleep 5\n')
  const here = script.replace('sleep 5\n', '').replace(':8080', `:${server.port}`)
  await promisify(execFile)(shell, [flag, here], { env: { PATH: process.env['PATH'], LLAMA_API_KEY: 'for-tests-only' } })
}

async function containerOf(path: string): Promise<Yaml | undefined> {
  const documents = await parseYaml(textOf(path))
  const deployment = documents.find(document => textAt(document, 'kind') === 'Deployment')
  return at(deployment, 'spec', 'template', 'spec', 'containers', 0)
}

async function flagsOf(path: string): Promise<readonly string[]> {
  return own(listAt(await containerOf(path), 'args'))
}

/** The flags that another place starts it with as well. */
function own(words: readonly Yaml[]): readonly string[] {
  const found: string[] = []
  for (let index = 0; index < words.length; index += 1) {
    const word = wordOf(words[index])
    if (notHere.has(word)) index += 1
    else found.push(word)
  }
  return found
}
