import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { deepseek } from 'unbusy'
import { serve } from 'unbusy/gateway'
import { answer } from 'unbusy/testing'
import { describe, expect } from 'vitest'
import { peers } from '../helpers/peers.ts'
import { test } from '../helpers/vitest.ts'

/** The examples of docs/drop-in.md as they are, with the real packages. */
const repository = join(import.meta.dirname, '../..')
const run = promisify(execFile)
const groups = {
  openai: 'openai-clients',
  langchain: 'openai-clients',
  llamaindex: 'openai-clients',
  'ai-sdk-target': 'ai-sdk',
} as const

describe.each(Object.entries(groups))('examples/drop-in/%s.ts', (name, groupName) => {
  const group = groupName === 'ai-sdk' ? peers('ai-sdk') : peers('openai-clients')

  test.skipIf(group.isMissing)(`runs and prints the answer${group.suffix}`, async ({ server, onTestFinished }) => {
    const upstream = await server(answer(['Because ', 'of ', 'scattering.']), { format: 'deepseek' })
    // beside what the group has installed, so that the example finds it
    const folder = await mkdtemp(join(group.folder, '.recipes-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await mkdir(join(folder, 'node_modules'))
    await symlink(repository, join(folder, 'node_modules/unbusy'))
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    await copyFile(join(repository, `examples/drop-in/${name}.ts`), join(folder, 'example.ts'))
    const { stdout } = await run(process.execPath, ['--conditions=unbusy-source', 'example.ts'], {
      ...{ cwd: folder, timeout: 60_000 },
      env: { MODEL_URL: upstream.baseURL, DEEPSEEK_API_KEY: 'test' },
    })
    expect(stdout).toBe('Because of scattering.')
  })
})

const hasCurl = await run('curl', ['--version']).then(
  () => true,
  () => false,
)

test.skipIf(!hasCurl)(
  `examples/drop-in/curl.sh asks a gateway${hasCurl ? '' : ' (skipped: there is no curl)'}`,
  async ({ server, onTestFinished }) => {
    const upstream = await server(answer(['Because ', 'of ', 'scattering.']), { format: 'deepseek' })
    const target = deepseek({ baseURL: upstream.baseURL, apiKey: 'test' })
    const gateway = await serve({ routes: { chat: { chain: [target] } }, keys: ['the-key'], port: 0 })
    onTestFinished(() => gateway.close())
    const env = { ...process.env, GATEWAY: gateway.url, KEY: 'the-key' }
    const { stdout } = await run('sh', [join(repository, 'examples/drop-in/curl.sh')], { env })
    const texts = [...stdout.matchAll(/"content":"([^"]+)"/g)].map(([, text]) => text)
    expect(texts.join('')).toBe('Because of scattering.')
    expect(stdout).toContain('data: [DONE]')
    await expect(
      run('sh', [join(repository, 'examples/drop-in/curl.sh')], { env: { ...env, KEY: 'wrong' } }),
    ).rejects.toMatchObject({
      stdout: expect.stringContaining('invalid_api_key') as string,
    })
  },
)
