import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sizeDeployment } from 'unbusy/sizing'
import { describe, expect, test } from 'vitest'
import { composeFaults } from '../helpers/deploy/compose-rules.ts'
import { faultsOf } from '../helpers/deploy/faults-of.ts'
import { at, deploy, flagOf, folder, listAt, parseYaml, pathsOf, textAt, textOf } from '../helpers/deploy/read.ts'
import { promtool, runPromtool } from '../helpers/promtool.ts'
import { sizesIn } from '../helpers/deploy/sizes.ts'

const manifests = pathsOf('*/{kubernetes,two-nodes}.yaml')
const composeFiles = pathsOf('*/compose.yaml')
const servers = ['fastapi', 'llama-cpp', 'ollama', 'sglang', 'tensorrt-llm', 'vllm']

test('there are six compose files, manifests for five servers, and rules and a chain for each', () => {
  expect(composeFiles).toEqual(servers.map(server => `${server}/compose.yaml`))
  expect(manifests).toEqual([
    ...servers.filter(server => server !== 'fastapi').map(server => `${server}/kubernetes.yaml`),
    'vllm/two-nodes.yaml',
  ])
  expect(pathsOf('*/chain.ts')).toEqual(servers.map(server => `${server}/chain.ts`))
  const page = textOf('README.md')
  expect(servers.filter(server => !page.includes(`](${server}/`))).toEqual([])
  expect(pathsOf('*/rules.yaml')).toEqual(servers.map(server => `${server}/rules.yaml`))
})

describe.skipIf(deploy.isMissing)(`manifests of Kubernetes${deploy.suffix}`, () => {
  test.each(manifests)('%s is valid', async path => {
    expect(await faultsOf(textOf(path))).toEqual([])
  })

  const vllm = textOf('vllm/kubernetes.yaml')

  /** What somebody gets wrong, and a word of the fault. Each is caught by one of the three: the schema, the compiler, our own rules. */
  test.each<readonly [string, RegExp, string, RegExp]>([
    ['a misspelt key', /livenessProbe/, 'livenesProbe', /livenesProbe/],
    ['a misspelt key in a probe', /failureThreshold: 180/, 'failureTreshold: 180', /failureTreshold/],
    [
      'a misspelt key of the pod',
      /terminationGracePeriodSeconds/,
      'terminationGracePeriodSecond',
      /terminationGracePeriodSecond/,
    ],
    ['a text for a number', /periodSeconds: 10/, "periodSeconds: '10'", /periodSeconds|string/],
    ['a word for a number', /replicas: 1/, 'replicas: one', /replicas|string/],
    ['a number among the arguments', /- --port=8000/, '- 8000', /args|number/],
    ['an operator that does not exist', /operator: Gt/, 'operator: Greater', /Greater|operator/],
    ['a strategy that does not exist', /type: Recreate/, 'type: Recreat', /strategy\/type must be equal/],
    ['a quantity that does not exist', /sizeLimit: 20Gi/, 'sizeLimit: 20GB', /sizeLimit/],
    ['a selector that does not match', /(selector:\n +matchLabels:\n +app: )vllm/, '$1vlm', /does not match the labels/],
    [
      'a volume that is not declared',
      /- name: shm\n {14}mountPath/,
      '- name: memory\n              mountPath',
      /no volume memory/,
    ],
    ['fewer GPUs allowed than requested', /(limits:\n +nvidia.com\/gpu: )8/, '$14', /8 requested, 4 allowed/],
    ['a probe on a port that is not there', /(livenessProbe:\n +httpGet:\n +path: \/health\n +port: )http/, '$1web', /port web/],
    ['a tag that moves', /v0\.32\.0\n/, 'latest\n', /is not pinned/],
    ['a startup probe that gives up early', /failureThreshold: 180/, 'failureThreshold: 60', /before 20 minutes/],
    ['a liveness probe without patience', /periodSeconds: 60/, 'periodSeconds: 10', /less than two minutes/],
    [
      'a liveness probe that runs the model',
      /(livenessProbe:\n +httpGet:\n +path: )\/health/,
      '$1/health_generate',
      /runs the model/,
    ],
    [
      'a grace that is over before the drain',
      /terminationGracePeriodSeconds: 330/,
      'terminationGracePeriodSeconds: 60',
      /over before the drain/,
    ],
    ['no drain', / +- --shutdown-timeout=300\n/, '', /--shutdown-timeout/],
    ['a key among the arguments', /- --max-model-len/, '- --api-key=abc\n            - --max-model-len', /key stands among/],
    ['a literal secret', /valueFrom:\n +secretKeyRef:\n +name: vllm\n +key: api-key/, 'value: sk-123', /a secret stands/],
    ['a cooldown shorter than a start', /cooldownPeriod: 1800/, 'cooldownPeriod: 360', /shorter than a start/],
    [
      "no window of the autoscaler, although KEDA's cooldown is long",
      /stabilizationWindowSeconds: 1800/,
      'selectPolicy: Min',
      /window of 300 s is shorter than a start of 1800 s/,
    ],
    ['a metric that was renamed', /num_requests_waiting/, 'num_requests_queued', /no known queue/],
    ['a rollout that waits for GPUs', /strategy:\n +type: Recreate/, 'strategy:\n    type: RollingUpdate', /rollout waits/],
    ['shared memory on disk', /medium: Memory/, "medium: ''", /\/dev\/shm/],
    ['a port that is not the one of the server', /containerPort: 8000/, 'containerPort: 8080', /listens on 8000/],
    ['a service that chooses nobody', /(kind: Service\n.*\n.*\n.*\n +selector:\n +app: )vllm/, '$1llm', /chooses no pod/],
  ])('%s is caught', async (_, pattern, instead, fault) => {
    const wrong = vllm.replace(pattern, instead)
    expect(wrong).not.toBe(vllm)
    expect((await faultsOf(wrong)).join('\n')).toMatch(fault)
  })

  test.each<readonly [string, string, RegExp, string, RegExp]>([
    ['TensorRT-LLM', 'tensorrt-llm', /path: \/prometheus\/metrics/, 'path: /metrics', /at \/prometheus\/metrics/],
    [
      'llama.cpp with a long grace',
      'llama-cpp',
      /terminationGracePeriodSeconds: 65/,
      'terminationGracePeriodSeconds: 300',
      /hangs at SIGTERM/,
    ],
    ['llama.cpp without --port', 'llama-cpp', / +- --port\n +- .8080.\n/, '', /default has moved/],
    [
      'Ollama with a long grace',
      'ollama',
      /terminationGracePeriodSeconds: 15/,
      'terminationGracePeriodSeconds: 300',
      /helps nobody/,
    ],
    [
      'SGLang with a short grace',
      'sglang',
      /terminationGracePeriodSeconds: 330/,
      'terminationGracePeriodSeconds: 60',
      /longest answers/,
    ],
  ])('%s: caught', async (_, server, pattern, instead, fault) => {
    const right = textOf(`${server}/kubernetes.yaml`)
    const wrong = right.replace(pattern, instead)
    expect(wrong).not.toBe(right)
    expect((await faultsOf(wrong)).join('\n')).toMatch(fault)
  })
})

describe.skipIf(deploy.isMissing)(`compose files${deploy.suffix}`, () => {
  test.each(composeFiles)('%s is valid', async path => {
    expect(await composeFaultsOf(textOf(path))).toEqual([])
  })

  const vllm = textOf('vllm/compose.yaml')

  test.each<readonly [string, RegExp, string, RegExp]>([
    ['a misspelt key', /healthcheck:/, 'healtcheck:', /schema/],
    ['a device without capabilities', / +capabilities: \[gpu\]\n/, '', /schema|capabilities/],
    ['a tag that moves', /v0\.32\.0\n/, 'latest\n', /tag|pinned/],
    ['a port on all interfaces', /127\.0\.0\.1:8000:8000/, '8000:8000', /interface/],
    ['count and device_ids', /count: 1/, "count: 1\n              device_ids: ['0']", /exclude each other/],
    ['a duration that is none', /start_period: 20m/, 'start_period: 20 minutes', /no duration/],
    ['a volume that is not declared', /volumes:\n {2}models:/, 'volumes:', /no volume models/],
    ['a grace that is over before the drain', /stop_grace_period: 135s/, 'stop_grace_period: 10s', /a drain of 120/],
    ['a literal secret', /\$\{VLLM_API_KEY:\?set it\}/, 'sk-123', /a secret stands/],
  ])('%s is caught', async (_, pattern, instead, fault) => {
    const wrong = vllm.replace(pattern, instead)
    expect(wrong).not.toBe(vllm)
    expect((await composeFaultsOf(wrong)).join('\n')).toMatch(fault)
  })
})

describe.skipIf(promtool.isMissing)(`alert rules${promtool.suffix}`, () => {
  test.each(servers)('%s: promtool finds no fault, and each alert fires when it should', async server => {
    const inside = join(folder, server)
    expect(await runPromtool(['check', 'rules', 'rules.yaml'], inside)).toMatchObject({ ok: true })
    expect(await runPromtool(['test', 'rules', 'rules.test.yaml'], inside)).toMatchObject({ ok: true })
    const alerts = (text: string, word: RegExp) => new Set([...text.matchAll(word)].map(([, name]) => name))
    const written = alerts(textOf(`${server}/rules.yaml`), /- alert: (\w+)/g)
    expect(written.size).toBeGreaterThan(1)
    expect(alerts(textOf(`${server}/rules.test.yaml`), /alertname: (\w+)/g)).toEqual(written)
  })
})

describe('the sizes that recipes name', () => {
  test.each(pathsOf('*/{compose.yaml,kubernetes.yaml,two-nodes.yaml,mac.sh}').filter(path => !path.startsWith('fastapi')))(
    '%s fits',
    path => {
      const sizes = sizesIn(textOf(path))
      expect(sizes).not.toEqual([])
      for (const size of sizes) expect(sizeDeployment(size), JSON.stringify(size)).toMatchObject({ fits: true })
    },
  )

  test.skipIf(deploy.isMissing).each(manifests)(`%s gives the server what it was sized for${deploy.suffix}`, async path => {
    const [size] = sizesIn(textOf(path))
    const documents = await parseYaml(textOf(path))
    const pods = documents.flatMap(document => [
      at(document, 'spec', 'template'),
      at(document, 'spec', 'leaderWorkerTemplate', 'leaderTemplate'),
    ])
    const container = at(
      pods.find(pod => pod !== undefined),
      'spec',
      'containers',
      0,
    )
    const words = listAt(container, 'args')
    const nodes = Number(flagOf(words, '--nnodes') ?? 1)
    expect(Number(textAt(container, 'resources', 'limits', 'nvidia.com/gpu')) * nodes).toBe(size?.count ?? 1)
    const lengths = ['--max-model-len', '--context-length', '--max_seq_len', '-c'].map(name => flagOf(words, name))
    const environment = new Map(listAt(container, 'env').map(each => [textAt(each, 'name'), textAt(each, 'value')]))
    // Ollama keeps a context for each of its parallel requests
    const ollama = Number(environment.get('OLLAMA_CONTEXT_LENGTH')) * Number(environment.get('OLLAMA_NUM_PARALLEL'))
    expect(Number(lengths.find(length => length !== undefined) ?? ollama)).toBe(size?.context)
  })
})

async function composeFaultsOf(text: string): Promise<readonly string[]> {
  const inside = await mkdtemp(join(tmpdir(), 'unbusy-compose-'))
  try {
    await writeFile(join(inside, 'compose.yaml'), text)
    // the order of keys is a matter of taste
    const rules = {
      'service-keys-order': 0,
      'top-level-properties-order': 0,
      'require-quotes-in-ports': 0,
      'no-quotes-in-volumes': 0,
    }
    await writeFile(join(inside, '.dclintrc'), JSON.stringify({ rules }))
    const words = ['compose.yaml', '--formatter', 'json', '--config', '.dclintrc']
    const { stdout } = await promisify(execFile)(deploy.program('dclint'), words, { cwd: inside }).catch(
      (error: { readonly stdout: string }) => error,
    )
    const [file] = JSON.parse(stdout) as { readonly messages: readonly { type: string; rule: string; message: string }[] }[]
    const linted = (file?.messages ?? []).filter(({ type }) => type === 'error').map(({ rule, message }) => `${rule}: ${message}`)
    const [compose] = await parseYaml(text)
    return [...linted, ...composeFaults(compose ?? null)]
  } finally {
    await rm(inside, { recursive: true, force: true })
  }
}
