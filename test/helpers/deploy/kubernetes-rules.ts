import { groupFaults } from './leader-worker-set.ts'
import { at, flagOf, isPinned, listAt, numberAt, textAt, wordOf, type Yaml } from './read.ts'

/** What neither a schema nor a compiler knows: rules that the servers and the facts about them give. Returns what is wrong. */
export function kubernetesFaults(documents: readonly Yaml[]): readonly string[] {
  const kinds = (kind: string) => documents.filter(document => at(document, 'kind') === kind)
  const workloads = [...kinds('Deployment'), ...kinds('LeaderWorkerSet')]
  const pods = workloads.flatMap(templatesOf)
  return [
    ...workloads.flatMap(workloadFaults),
    ...pods.flatMap(pod => podFaults(pod)),
    ...kinds('Deployment').flatMap(selectorFaults),
    ...['Service', 'PodDisruptionBudget', 'PodMonitor', 'NetworkPolicy'].flatMap(kind =>
      kinds(kind).flatMap(document => choosesNobody(document, pods)),
    ),
    ...kinds('PodMonitor').flatMap(monitor => monitorFaults(monitor, pods)),
    ...kinds('ScaledObject').flatMap(scaled => scaleFaults(scaled, workloads)),
    ...missingKinds(documents),
  ]
}

const nameOf = (document: Yaml): string => `${textAt(document, 'kind')} ${textAt(document, 'metadata', 'name')}`

function templatesOf(workload: Yaml): readonly Yaml[] {
  const templates = [
    at(workload, 'spec', 'template'),
    at(workload, 'spec', 'leaderWorkerTemplate', 'leaderTemplate'),
    at(workload, 'spec', 'leaderWorkerTemplate', 'workerTemplate'),
  ]
  return templates.filter(template => template !== undefined)
}

const containerOf = (pod: Yaml): Yaml | undefined => at(pod, 'spec', 'containers', 0)
const wordsOf = (pod: Yaml): readonly Yaml[] => [...listAt(containerOf(pod), 'command'), ...listAt(containerOf(pod), 'args')]

/** Which server it is, by its image. */
export function serverOf(image: string): 'vllm' | 'sglang' | 'tensorrt-llm' | 'llama-cpp' | 'ollama' | 'other' {
  const words = {
    'vllm/': 'vllm',
    sglang: 'sglang',
    'tensorrt-llm': 'tensorrt-llm',
    'llama.cpp': 'llama-cpp',
    'ollama/': 'ollama',
  } as const
  return Object.entries(words).find(([word]) => image.includes(word))?.[1] ?? 'other'
}

function workloadFaults(workload: Yaml): readonly string[] {
  if (at(workload, 'kind') === 'LeaderWorkerSet') return groupFaults(workload)
  const surge = at(workload, 'spec', 'strategy', 'rollingUpdate', 'maxSurge')
  const waits = at(workload, 'spec', 'strategy', 'type') !== 'Recreate' && surge !== 0
  return waits ? [`${nameOf(workload)}: a rollout waits for GPUs that are not there: Recreate, or maxSurge 0`] : []
}

function selectorFaults(deployment: Yaml): readonly string[] {
  const wanted = at(deployment, 'spec', 'selector', 'matchLabels')
  const labels = at(deployment, 'spec', 'template', 'metadata', 'labels')
  return matches(wanted, labels) ? [] : [`${nameOf(deployment)}: the selector does not match the labels of its own pods`]
}

function podFaults(pod: Yaml): readonly string[] {
  const container = containerOf(pod)
  const image = textAt(container, 'image')
  return [
    ...(isPinned(image) ? [] : [`the image ${image} is not pinned`]),
    ...resourceFaults(container),
    ...volumeFaults(pod),
    ...probeFaults(pod, image),
    ...drainFaults(pod, serverOf(image)),
    ...secretFaults(container),
    ...affinityFaults(pod),
    ...portFaults(pod, serverOf(image)),
  ]
}

function resourceFaults(container: Yaml | undefined): readonly string[] {
  const requested = at(container, 'resources', 'requests', 'nvidia.com/gpu')
  const limit = at(container, 'resources', 'limits', 'nvidia.com/gpu')
  return requested !== undefined && requested === limit ? [] : [`GPUs: ${wordOf(requested)} requested, ${wordOf(limit)} allowed`]
}

function volumeFaults(pod: Yaml): readonly string[] {
  const volumes = listAt(pod, 'spec', 'volumes')
  const declared = new Set(volumes.map(volume => textAt(volume, 'name')))
  const mounts = listAt(containerOf(pod), 'volumeMounts')
  const faults = mounts.filter(mount => !declared.has(textAt(mount, 'name'))).map(mount => `no volume ${textAt(mount, 'name')}`)
  const gpus = numberAt(containerOf(pod), 'resources', 'limits', 'nvidia.com/gpu') ?? 0
  const memory = mounts.find(mount => at(mount, 'mountPath') === '/dev/shm')
  const volume = volumes.find(each => textAt(each, 'name') === textAt(memory, 'name'))
  if (gpus > 1 && at(volume, 'emptyDir', 'medium') !== 'Memory') faults.push('several GPUs need /dev/shm in memory')
  return faults
}

/** They run the model: a probe of them fails while a long prompt is read. */
const generating = /generate|invocations|completions|\/chat/

function probeFaults(pod: Yaml, image: string): readonly string[] {
  const container = containerOf(pod)
  const isWorker = at(pod, 'metadata', 'labels', 'role') === 'worker'
  if (isWorker) return []
  const probe = (kind: string) => at(container, `${kind}Probe`)
  const faults: string[] = []
  for (const kind of ['startup', 'readiness', 'liveness']) {
    if (probe(kind) === undefined) faults.push(`${image}: no ${kind} probe`)
    const port = textAt(probe(kind), 'httpGet', 'port')
    const named = listAt(container, 'ports').map(each => textAt(each, 'name'))
    if (port !== '' && !/^\d+$/.test(port) && !named.includes(port))
      faults.push(`${kind} probe on a port ${port} that no container has`)
  }
  if (secondsOf(probe('startup')) < 1_200) faults.push('the startup probe gives up before 20 minutes')
  if (secondsOf(probe('liveness')) < 120) faults.push('the liveness probe ends a server that is busy for less than two minutes')
  if (generating.test(textAt(probe('liveness'), 'httpGet', 'path'))) faults.push('the liveness probe runs the model')
  return faults
}

function secondsOf(probe: Yaml | undefined): number {
  return (numberAt(probe, 'periodSeconds') ?? 10) * (numberAt(probe, 'failureThreshold') ?? 3)
}

/** How long each server drains by itself, and what the grace must be. */
function drainFaults(pod: Yaml, server: ReturnType<typeof serverOf>): readonly string[] {
  const grace = numberAt(pod, 'spec', 'terminationGracePeriodSeconds') ?? 30
  const preStop = at(containerOf(pod), 'lifecycle', 'preStop')
  const before = numberAt(preStop, 'sleep', 'seconds') ?? 0
  const script = textAt(preStop, 'exec', 'command', 2)
  const isWorker = at(pod, 'metadata', 'labels', 'role') === 'worker'
  if (server === 'vllm') {
    const drain = Number(flagOf(wordsOf(pod), '--shutdown-timeout') ?? 0)
    if (drain === 0) return ['vLLM ends every request at once without --shutdown-timeout']
    const least = (isWorker ? 0 : before) + drain
    const faults = grace > least ? [] : [`a grace of ${grace} s is over before the drain of ${least} s`]
    return isWorker || before > 0 ? faults : [...faults, 'no preStop: requests still come while it ends']
  }
  if (server === 'llama-cpp') {
    const seconds = 5 + Number(/seq (\d+)/.exec(script)?.[1] ?? NaN)
    if (!/\/slots/.test(script)) return ['llama.cpp has no drain: a preStop must wait for idle slots']
    const rest = grace - seconds
    return rest >= 5 && rest <= 10 ? [] : [`llama.cpp hangs at SIGTERM: a grace of ${grace} s behind a preStop of ${seconds} s`]
  }
  if (server === 'ollama') return grace <= 15 ? [] : ['Ollama cuts what runs: a long grace helps nobody']
  if (server === 'tensorrt-llm' && !/num_requests/.test(script))
    return ['the drain of TensorRT-LLM is not documented: wait for idle']
  return grace >= 300 && preStop !== undefined ? [] : [`${server}: a grace of ${grace} s is shorter than R1's longest answers`]
}

function secretFaults(container: Yaml | undefined): readonly string[] {
  const literal = listAt(container, 'env').filter(variable => /KEY|TOKEN|SECRET|PASSWORD/.test(textAt(variable, 'name')))
  const faults = literal
    .filter(variable => at(variable, 'value') !== undefined)
    .map(each => `a secret stands in ${textAt(each, 'name')}`)
  const words = [...listAt(container, 'command'), ...listAt(container, 'args')]
  return words.some(word => /^--api-key[= ]?[^"$]/.test(wordOf(word))) ? [...faults, 'a key stands among the arguments'] : faults
}

function affinityFaults(pod: Yaml): readonly string[] {
  const terms = listAt(
    pod,
    'spec',
    'affinity',
    'nodeAffinity',
    'requiredDuringSchedulingIgnoredDuringExecution',
    'nodeSelectorTerms',
  )
  const keys = terms.flatMap(term => listAt(term, 'matchExpressions').map(each => textAt(each, 'key')))
  return keys.includes('nvidia.com/gpu.memory') ? [] : ['no affinity to the memory of the GPU']
}

function portFaults(pod: Yaml, server: ReturnType<typeof serverOf>): readonly string[] {
  const port = listAt(containerOf(pod), 'ports').map(each => textAt(each, 'containerPort'))[0]
  const flag = flagOf(wordsOf(pod), '--port')
  if (server === 'llama-cpp' && flag === undefined) return ['llama.cpp without --port: its default has moved']
  return flag === undefined || port === undefined || flag === port ? [] : [`it listens on ${flag}, the container says ${port}`]
}

function matches(wanted: Yaml | undefined, labels: Yaml | undefined): boolean {
  if (typeof wanted !== 'object' || wanted === null) return false
  return Object.entries(wanted).every(([key, value]) => at(labels, key) === value)
}

/** A Service, a PodMonitor and the like that choose no pod of the file. */
function choosesNobody(document: Yaml, pods: readonly Yaml[]): readonly string[] {
  const spec = at(document, 'spec')
  const wanted =
    at(document, 'kind') === 'Service'
      ? at(spec, 'selector')
      : (at(spec, 'selector', 'matchLabels') ?? at(spec, 'podSelector', 'matchLabels'))
  const chosen = pods.some(pod => matches(wanted, at(pod, 'metadata', 'labels')))
  return chosen ? [] : [`${nameOf(document)} chooses no pod of this file`]
}

function monitorFaults(monitor: Yaml, pods: readonly Yaml[]): readonly string[] {
  const image = textAt(containerOf(pods[0] ?? null), 'image')
  const wanted = serverOf(image) === 'tensorrt-llm' ? '/prometheus/metrics' : '/metrics'
  const endpoints = listAt(monitor, 'spec', 'podMetricsEndpoints')
  return endpoints.flatMap(endpoint => {
    const path = textAt(endpoint, 'path')
    return path === wanted ? [] : [`the metrics of ${serverOf(image)} are at ${wanted}, not ${path}`]
  })
}

/** The metrics of waiting requests that the servers have, and ours. */
export const queueMetrics = [
  'vllm:num_requests_waiting',
  'sglang:num_queue_reqs',
  'trtllm_num_requests_waiting',
  'llamacpp:requests_deferred',
  'unbusy_attempts_in_flight',
]

function scaleFaults(scaled: Yaml, workloads: readonly Yaml[]): readonly string[] {
  const target = textAt(scaled, 'spec', 'scaleTargetRef', 'name')
  const workload = workloads.find(each => textAt(each, 'metadata', 'name') === target)
  if (workload === undefined) return [`${nameOf(scaled)} scales ${target}, which is not in this file`]
  const startup = secondsOf(at(containerOf(templatesOf(workload)[0] ?? null), 'startupProbe'))
  const cooldown = numberAt(scaled, 'spec', 'cooldownPeriod') ?? 300
  // KEDA's cooldown counts before the last replica is removed, and the autoscaler's window before all others are
  const behavior = ['advanced', 'horizontalPodAutoscalerConfig', 'behavior', 'scaleDown', 'stabilizationWindowSeconds']
  const stable = numberAt(scaled, 'spec', ...behavior) ?? 300
  const queries = listAt(scaled, 'spec', 'triggers').map(trigger => textAt(trigger, 'metadata', 'query'))
  return [
    ...(cooldown >= startup ? [] : [`a cooldown of ${cooldown} s is shorter than a start of ${startup} s`]),
    ...(stable >= startup ? [] : [`a stabilization window of ${stable} s is shorter than a start of ${startup} s`]),
    ...queries.filter(query => !queueMetrics.some(metric => query.includes(metric))).map(query => `no known queue in ${query}`),
  ]
}

function missingKinds(documents: readonly Yaml[]): readonly string[] {
  const present = new Set(documents.map(document => textAt(document, 'kind')))
  const wanted = ['PersistentVolumeClaim', 'Service', 'PodDisruptionBudget', 'NetworkPolicy']
  return wanted.filter(kind => !present.has(kind)).map(kind => `there is no ${kind}`)
}
