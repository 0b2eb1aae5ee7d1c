/** Returns ` Did you mean 'apiKey'?`, or all names if none is similar. */
export function suggestion(name: string, known: readonly string[]): string {
  return renamed(name, known) ?? nearest(name, known)
}

/** Like `suggestion()`, for options: one that stands in the wrong place is told where it belongs. */
export function optionHint(name: string, known: readonly string[]): string {
  const place = Object.entries(places).find(([, names]) => names.includes(name))?.[0]
  return renamed(name, known) ?? (place === undefined ? nearest(name, known) : ` It is an option of ${place}.`)
}

function renamed(name: string, known: readonly string[]): string | undefined {
  const plain = name.toLowerCase().replaceAll(/[_-]/g, '')
  const named = Object.hasOwn(elsewhere, plain) ? elsewhere[plain] : undefined
  const ours = named?.find(one => known.includes(one.split(':')[0] ?? ''))
  return ours === undefined ? undefined : ` Did you mean ${ours.includes(':') ? ours : `'${ours}'`}?`
}

function nearest(name: string, known: readonly string[]): string {
  const [first] = known
    .map(one => ({ one, steps: distance(name.toLowerCase(), one.toLowerCase()) }))
    .toSorted((a, b) => a.steps - b.steps)
  if (first !== undefined && first.steps <= Math.max(2, Math.ceil(name.length / 3))) return ` Did you mean '${first.one}'?`
  return known.length === 0 ? '' : ` Write one of ${known.join(', ')}.`
}

/** Where options belong that are often written in another place. */
const places: Readonly<Record<string, readonly string[]>> = {
  'a target, for example deepseek({ ... })': ['limits', 'price', 'when', 'prepare', 'keepWarm', 'name'],
  'a call: generate({ ... }) or stream({ ... })': ['maxCost', 'tag', 'metadata', 'temperature', 'maxOutputTokens', 'signal'],
  'the client: createClient({ ... })': [
    'chain',
    'health',
    'breaker',
    'hedge',
    'profile',
    'decide',
    'onEvent',
    'logger',
    'telemetry',
  ],
  'the client or of a target': ['budget'],
}

/** Option names of other libraries, in lower case without separators, and our names for them; the first that exists is suggested. */
const elsewhere: Readonly<Record<string, readonly string[]>> = {
  schema: ['output'],
  responseformat: ['output'],
  responseschema: ['output'],
  outputschema: ['output'],
  zodschema: ['output'],
  structuredoutput: ['output'],
  jsonschema: ['output'],
  maxtokens: ['maxOutputTokens'],
  maxcompletiontokens: ['maxOutputTokens'],
  maxnewtokens: ['maxOutputTokens'],
  numpredict: ['maxOutputTokens'],
  abortsignal: ['signal'],
  abortcontroller: ['signal'],
  fallback: ['fallback', 'defaultResponse'],
  fallbackresponse: ['defaultResponse'],
  fallbackvalue: ['defaultResponse'],
  default: ['defaultResponse'],
  model: ['chain', 'targets'],
  models: ['chain', 'targets'],
  providers: ['chain'],
  targets: ['chain'],
  fallbacks: ['chain'],
  stop: ['stopSequences'],
  maxretries: ['retry'],
  retries: ['retry'],
  timeoutms: ['timeout: { totalMs: 30_000 }'],
  requesttimeout: ['timeout: { totalMs: 30_000 }'],
  total: ['totalMs'],
  instructions: ['system'],
  systemprompt: ['system'],
  input: ['prompt'],
  query: ['prompt'],
  reasoningeffort: ['reasoning'],
  effort: ['reasoning'],
  thinking: ['reasoning'],
  functions: ['tools'],
  functioncall: ['toolChoice'],
  provideroptions: ['extraBody'],
  body: ['extraBody'],
  url: ['baseURL'],
  endpoint: ['baseURL'],
  apibase: ['baseURL'],
  basepath: ['baseURL'],
  key: ['apiKey'],
  token: ['apiKey'],
  apitoken: ['apiKey'],
  defaultheaders: ['headers'],
  agent: ['dispatcher'],
  httpagent: ['dispatcher'],
  fetch: ['dispatcher'],
  circuitbreaker: ['breaker'],
  sharedhealth: ['health'],
  rpm: ['requestsPerMinute', 'limits: { requestsPerMinute: 60 }'],
  tpm: ['tokensPerMinute', 'limits: { tokensPerMinute: 100_000 }'],
  concurrency: ['limits: { concurrency: 4 }'],
  maxconcurrent: ['concurrency', 'limits: { concurrency: 4 }'],
  maxconcurrency: ['concurrency', 'limits: { concurrency: 4 }'],
  ratelimit: ['limits: { requestsPerMinute: 60 }'],
  cached: ['cachedInput'],
  hours: ['hoursUtc'],
  usd: ['dollars'],
  user: ['metadata'],
  maxbudget: ['maxCost', 'budget'],
  budget: ['maxCost'],
  log: ['logger'],
}

/** The Levenshtein distance: how many letters must be added, removed or changed. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 0; i < from.length; i += 1) {
    const next = [i + 1]
    for (let j = 0; j < to.length; j += 1) {
      next.push(Math.min((row[j] ?? 0) + (from[i] === to[j] ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
