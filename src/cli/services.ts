import type { Target } from '../contract-targets.ts'
import { deepseek, host, type HostName, llama, ollama, openai, sglang, tensorrtLlm, vllm } from '../index.ts'
import { UsageError } from './command.ts'
import { suggestion } from '../suggestion.ts'
import { hosts } from '../providers/hosts.ts'

/** A service that the command line knows by name. */
export type Service = {
  readonly name: string
  /** When the service joins the default chain. `vendor`: if its key is set. `local`: if it answers. `host`: only if it is named. */
  readonly kind: 'vendor' | 'local' | 'host'
  readonly keyVariables: readonly string[]
  /** The environment variable with its address, for example DEEPSEEK_BASE_URL. Only the command line reads it. */
  readonly baseURLVariable: string
  readonly defaultBaseURL: string | undefined
  /** The default address of its newer versions. */
  readonly movedBaseURL?: string | undefined
  /** The address at which it was found. */
  readonly foundBaseURL?: string | undefined
  /** A model must be named. */
  readonly needsModel: boolean
  make(model: string | undefined, baseURL: string | undefined): Target
}

type Row = Pick<Service, 'kind' | 'keyVariables' | 'movedBaseURL' | 'needsModel' | 'make'> & {
  readonly baseURL: string | undefined
}

/** In the order of the default chain. */
const own: Readonly<Record<string, Row>> = {
  deepseek: {
    kind: 'vendor',
    keyVariables: ['DEEPSEEK_API_KEY'],
    baseURL: 'https://api.deepseek.com',
    needsModel: false,
    make: (model, baseURL) => deepseek(model, { baseURL }),
  },
  openai: {
    kind: 'vendor',
    keyVariables: ['OPENAI_API_KEY'],
    baseURL: 'https://api.openai.com/v1',
    needsModel: false,
    make: (model, baseURL) => openai(model, { baseURL }),
  },
  llama: {
    kind: 'local',
    keyVariables: ['LLAMA_API_KEY'],
    baseURL: 'http://127.0.0.1:8080/v1',
    movedBaseURL: 'http://127.0.0.1:9931/v1',
    needsModel: false,
    make: (model, baseURL) => llama(model, { baseURL }),
  },
  ollama: {
    kind: 'local',
    keyVariables: ['OLLAMA_API_KEY'],
    baseURL: 'http://127.0.0.1:11434',
    needsModel: true,
    make: (model = 'default', baseURL) => ollama(model, { baseURL }),
  },
  vllm: {
    kind: 'local',
    keyVariables: ['VLLM_API_KEY'],
    baseURL: 'http://127.0.0.1:8000/v1',
    needsModel: true,
    make: (model = 'default', baseURL) => vllm(model, { baseURL }),
  },
  sglang: {
    kind: 'local',
    keyVariables: ['SGLANG_API_KEY'],
    baseURL: 'http://127.0.0.1:30000/v1',
    needsModel: false,
    make: (model, baseURL) => sglang(model, { baseURL }),
  },
  // no default address: it uses the same port as vLLM and cannot be told apart from it
  'tensorrt-llm': {
    kind: 'local',
    keyVariables: ['TENSORRT_LLM_API_KEY'],
    baseURL: undefined,
    needsModel: true,
    make: (model = 'default', baseURL) => tensorrtLlm(model, { baseURL }),
  },
}

export const services: readonly Service[] = [
  ...Object.entries(own).map(([name, row]) => serviceOf(name, row)),
  ...Object.entries(hosts).map(([name, row]) =>
    serviceOf(name, {
      kind: 'host',
      keyVariables: row.keyVariables,
      baseURL: 'baseURL' in row ? row.baseURL : undefined,
      needsModel: true,
      make: (model = 'default', baseURL) => host(name as HostName, model, { baseURL }),
    }),
  ),
]

function serviceOf(name: string, { baseURL, ...row }: Row): Service {
  return { name, baseURLVariable: `${name.toUpperCase().replaceAll('-', '_')}_BASE_URL`, defaultBaseURL: baseURL, ...row }
}

export function findService(name: string): Service {
  const found = services.find(service => service.name === name)
  if (found !== undefined) return found
  const known = services.map(service => service.name)
  throw new UsageError(`There is no service '${name}'.${suggestion(name, known)}`)
}

/** The address from the environment, or else the one where the service was found; undefined: the default address. */
export function givenBaseURL({ baseURLVariable, foundBaseURL }: Service): string | undefined {
  const value = process.env[baseURLVariable]
  return value === undefined || value === '' ? foundBaseURL : value
}

/** The address of a service; undefined if it is unknown. */
export function addressOf(service: Service): string | undefined {
  return givenBaseURL(service) ?? service.defaultBaseURL
}

/** The environment variable that holds the key; undefined if none is set. */
export function keyVariableOf({ keyVariables }: Service): string | undefined {
  return keyVariables.find(variable => (process.env[variable] ?? '') !== '')
}

/** The address without user, password and query, which may contain a key. Empty if it is unknown. */
export function shownBaseURL(service: Service): string {
  const address = addressOf(service)
  if (address === undefined) return ''
  const url = URL.parse(address)
  return url === null ? 'an address that is not a URL' : `${url.origin}${url.pathname.replace(/\/$/, '')}`
}

/** One step of a chain. */
export type Step = { readonly service: Service; readonly model: string | undefined; readonly target: Target }

export function stepOf(service: Service, model: string | undefined): Step {
  if (addressOf(service) === undefined)
    throw new UsageError(`${service.name} has a different address for each customer. Set ${service.baseURLVariable}.`)
  try {
    return { service, model, target: service.make(model, givenBaseURL(service)) }
  } catch (error) {
    // a wrong environment variable is reported as a usage error, like a wrong command line
    if (error instanceof TypeError) throw new UsageError(error.message, { cause: error })
    throw error
  }
}

/** The chain as code to paste. */
export function codeOf(steps: readonly Step[]): string {
  const makers = steps.map(({ service }) => makerOf(service))
  const names = ['createClient', ...new Set(makers)]
  const chain = steps.map(stepCode)
  const flat = `chain: [${chain.join(', ')}]`
  const long = `\n  chain: [\n${chain.map(step => `    ${step},\n`).join('')}  ],\n`
  const options = flat.length <= 80 ? ` ${flat} ` : long
  return `import { ${names.join(', ')} } from 'unbusy'\n\nconst client = createClient({${options}})`
}

function stepCode({ service, model }: Step): string {
  const options = givenBaseURL(service) === undefined ? [] : [`{ baseURL: '${shownBaseURL(service)}' }`]
  const words = [...(model === undefined ? [] : [quoted(model)]), ...options]
  const name = service.kind === 'host' ? [quoted(service.name)] : []
  return `${makerOf(service)}(${[...name, ...words].join(', ')})`
}

/** The name of the function that makes its target. */
function makerOf({ kind, name }: Service): string {
  return kind === 'host' ? 'host' : name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/** Escapes a model name, which comes from a server and must not end the string. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', ' ')}'`
}
