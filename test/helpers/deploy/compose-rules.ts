import { serverOf } from './kubernetes-rules.ts'
import { at, flagOf, isPinned, listAt, textAt, wordOf, wordsAt, type Yaml } from './read.ts'

/** What the schema of compose files does not know. Returns what is wrong. */
export function composeFaults(compose: Yaml): readonly string[] {
  const services = Object.entries((at(compose, 'services') ?? {}) as { readonly [name: string]: Yaml })
  const volumes = Object.keys((at(compose, 'volumes') ?? {}) as object)
  return services.flatMap(([name, service]) => serviceFaults(service, volumes).map(fault => `${name}: ${fault}`))
}

function serviceFaults(service: Yaml, volumes: readonly string[]): readonly string[] {
  const image = textAt(service, 'image')
  const built = at(service, 'build') !== undefined
  return [
    ...(built || isPinned(image) ? [] : [`the image ${image} is not pinned`]),
    ...healthFaults(service),
    ...drainFaults(service, serverOf(image)),
    ...deviceFaults(service, built),
    ...volumeFaults(service, volumes),
    ...secretFaults(service),
    ...(serverOf(image) === 'llama-cpp' && flagOf(listAt(service, 'command'), '--port') === undefined ? ['no --port'] : []),
  ]
}

function healthFaults(service: Yaml): readonly string[] {
  const test = wordsAt(service, 'healthcheck', 'test').join(' ')
  const start = secondsOf(textAt(service, 'healthcheck', 'start_period'))
  if (test === '') return ['no health check']
  const faults = start === undefined ? [`start_period is no duration: ${textAt(service, 'healthcheck', 'start_period')}`] : []
  return /health_generate|completions/.test(test) ? [...faults, 'the health check runs the model'] : faults
}

function drainFaults(service: Yaml, server: ReturnType<typeof serverOf>): readonly string[] {
  const written = textAt(service, 'stop_grace_period')
  const grace = secondsOf(written)
  if (grace === undefined) return [`stop_grace_period is no duration: ${written}`]
  const drain = Number(flagOf(listAt(service, 'command'), '--shutdown-timeout') ?? 0)
  if (server === 'vllm' && (drain === 0 || grace <= drain)) return [`a grace of ${grace} s, a drain of ${drain} s`]
  if (server === 'llama-cpp' && grace > 10) return ['llama.cpp hangs at SIGTERM: a long grace is a long silence']
  return server === 'sglang' && grace < 300 ? ["a grace shorter than R1's longest answers"] : []
}

function deviceFaults(service: Yaml, built: boolean): readonly string[] {
  const devices = listAt(service, 'deploy', 'resources', 'reservations', 'devices')
  if (devices.length === 0) return built ? [] : ['no GPU is reserved']
  return devices.flatMap(device => [
    ...(at(device, 'count') !== undefined && at(device, 'device_ids') !== undefined
      ? ['count and device_ids exclude each other']
      : []),
    ...(listAt(device, 'capabilities').includes('gpu') ? [] : ['a device needs capabilities: [gpu]']),
  ])
}

function volumeFaults(service: Yaml, volumes: readonly string[]): readonly string[] {
  const named = wordsAt(service, 'volumes').map(volume => volume.split(':')[0] ?? '')
  return named.filter(name => !/^[./~]/.test(name) && !volumes.includes(name)).map(name => `no volume ${name}`)
}

function secretFaults(service: Yaml): readonly string[] {
  const environment = Object.entries((at(service, 'environment') ?? {}) as { readonly [name: string]: Yaml })
  const secrets = environment.filter(([name]) => /KEY$|TOKEN|SECRET|PASSWORD/.test(name))
  return secrets.filter(([, value]) => !wordOf(value).startsWith('${')).map(([name]) => `a secret stands in ${name}`)
}

/** `1m30s` as seconds; `undefined` for what compose does not read. */
function secondsOf(duration: string): number | undefined {
  if (!/^(?:\d+(?:h|m|s))+$/.test(duration)) return undefined
  const units = { h: 3_600, m: 60, s: 1 } as const
  return [...duration.matchAll(/(\d+)([hms])/g)].reduce((sum, [, count, unit]) => sum + Number(count) * units[unit as 'h'], 0)
}
