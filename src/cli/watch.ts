import type { ClientStatus, TargetStatus } from '../telemetry/activity.ts'
import {
  nameOf,
  failureGroups,
  dollars,
  duration,
  type Level,
  type Pings,
  pingResult,
  serverWords,
  share,
  signs,
  states,
  timeOfDay,
  verdictOf,
} from '../status/words.ts'
import { type Command, exitCode, parseWords, UsageError, type World } from './command.ts'
import { pause } from './serve-status.ts'
import { fitted, type Terminal, type Tone, withoutControls } from './terminal.ts'

const help = `unbusy watch URL - shows the status of a service, again and again. statusHandler() of unbusy/status serves it.

  unbusy watch http://127.0.0.1:9464/status
  --once            shows it once and exits
  --every SECONDS   the time between two requests (default 2)
Environment  UNBUSY_KEY is sent as "Authorization: Bearer KEY", to a service that asks for a key, such as unbusy serve
Exit codes  0 done, 1 the address serves no status (with --once), 2 wrong usage, 130 Ctrl-C`

export const watch: Command = {
  help,
  async run(words, world) {
    const { values, positionals } = parseWords(words, { once: { type: 'boolean' }, every: { type: 'string' } })
    const [address, ...more] = positionals
    if (address === undefined || more.length > 0)
      throw new UsageError('watch takes one address. Write, for example: unbusy watch http://127.0.0.1:9464/status')
    const url = URL.parse(address)
    if (url === null || !/^https?:$/.test(url.protocol))
      throw new UsageError('watch: the address must begin with http:// or https://.')
    // fetch refuses such a URL with an error that quotes it
    if (url.username !== '' || url.password !== '')
      throw new UsageError(
        'watch: the address must not contain a user or a password. Set UNBUSY_KEY if the service asks for a key.',
      )
    const asked: Asked = { url, key: keyOfEnvironment() }
    const everyMs = 1_000 * Number(values.every ?? 2)
    // a timer takes a longer time as none at all
    if (!(everyMs >= 100 && everyMs <= 86_400_000))
      throw new UsageError('watch: --every must be a number of seconds from 0.1 to 86400, for example --every 5.')
    if (values.once === true) return show(await look(asked, world.signal), world)
    await watching(asked, everyMs, world)
    return exitCode.answered
  },
}

type Asked = { readonly url: URL; readonly key: string | undefined }

function keyOfEnvironment(): string | undefined {
  const key = (process.env['UNBUSY_KEY'] ?? '').trim()
  // fetch refuses such a header with an error that quotes it
  if (/[^!-~]/.test(key)) throw new UsageError('watch: UNBUSY_KEY must be a key, with ASCII characters only and without blanks.')
  return key === '' ? undefined : key
}

type Clients = readonly (readonly [name: string, status: ClientStatus])[]
type Seen = { readonly address: string } & ({ readonly clients: Clients } | { readonly problem: string })

async function watching(asked: Asked, everyMs: number, world: World): Promise<void> {
  const { stdout, signal } = world
  for (;;) {
    const seen = await look(asked, signal)
    // move to the upper left corner and clear the rest of the screen
    if (stdout.isScreen) stdout.write('\x1b[H\x1b[J')
    show(seen, world, stdout.isScreen ? stdout.rows - 1 : Infinity)
    await pause(everyMs, signal)
  }
}

/** A service that is down, or a page that is not a status page, does not end the command: the next poll may succeed. */
async function look({ url, key }: Asked, signal: AbortSignal): Promise<Seen> {
  // a query may contain a key
  const address = `${url.origin}${url.pathname}`
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    })
    const clients = clientsIn(await textOf(response))
    return clients === undefined ? { address, problem: problemOf(response.status, key) } : { address, clients }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    return { address, problem: `does not answer: ${error instanceof Error ? causeOf(error) : String(error)}` }
  }
}

/** A status of a hundred targets is a tenth of this. */
const mostBytes = 2 ** 22

/** Returns the beginning of a body that is too long for a status: whatever is served there, it must not fill the memory. */
async function textOf({ body }: Response): Promise<string> {
  if (body === null) return ''
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    chunks.push(chunk)
    bytes += chunk.byteLength
    if (bytes > mostBytes) break
  }
  return Buffer.concat(chunks).toString()
}

/** Returns undefined for what is not a status: a page of a login, the error of a proxy, the JSON of something else. */
function clientsIn(text: string): Clients | undefined {
  try {
    const data: unknown = JSON.parse(text)
    if (isStatus(data)) return [['', data]]
    if (typeof data !== 'object' || data === null || !('clients' in data)) return undefined
    const clients = Object.entries(data.clients as object) as [string, ClientStatus][]
    return clients.length > 0 && clients.every(([, status]) => isStatus(status)) ? clients : undefined
  } catch {
    return undefined
  }
}

function problemOf(status: number, key: string | undefined): string {
  if (status !== 401 && status !== 403) return `returns ${status} without a status of unbusy. Serve statusHandler(client) there.`
  return key === undefined
    ? `returns ${status}: it asks for a key. Set UNBUSY_KEY.`
    : `returns ${status}: it refuses the key of UNBUSY_KEY.`
}

function causeOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message
}

function isStatus(data: unknown): data is ClientStatus {
  return typeof data === 'object' && data !== null && 'targets' in data && Array.isArray(data.targets) && 'recent' in data
}

/** @param rows more than these are left out, because the verdict at the top would scroll away */
function show(seen: Seen, { stdout }: World, rows = Infinity): number {
  const lines = 'clients' in seen ? linesOfAll(stdout, seen.clients) : undefined
  const { problem } = 'problem' in seen ? seen : { problem: 'serves a status that this version of unbusy cannot read.' }
  let left = rows
  for (const line of lines ?? [[['bad', `${seen.address} ${problem}`]] satisfies Line]) {
    const parts = line.map(([tone, text]) => [tone, clean(text)] as const)
    left -= Math.max(1, Math.ceil(parts.reduce((sum, [, text]) => sum + text.length, 0) / stdout.columns))
    if (left < 0) break
    stdout.line(parts.map(([tone, text]) => stdout.paint(tone, text)).join(''))
  }
  return lines === undefined ? exitCode.unanswered : exitCode.answered
}

/** One line of the output, in parts of one tone. Every part may have text of the service, also where a number should be. */
type Line = readonly (readonly [tone: Tone, text: string])[]

/** Returns undefined for the status of a version that has other fields or states. */
function linesOfAll(terminal: Terminal, clients: Clients): readonly Line[] | undefined {
  try {
    return clients.flatMap(([name, status]) => linesOf(terminal, name, status))
  } catch {
    return undefined
  }
}

const colors = { good: 'good', fair: 'wait', bad: 'bad', idle: 'quiet' } as const satisfies Record<Level, string>

function linesOf(terminal: Terminal, name: string, status: ClientStatus): readonly Line[] {
  const { level, title, text } = verdictOf(status)
  const { answered, fallback, degraded, failed, aborted } = status.recent
  const of = name === '' ? '' : `${name}: `
  const plain = (line: string): Line => [['plain', line]]
  const quiet = (line: string): Line => [['quiet', `  ${line}`]]
  return [
    [],
    [
      [colors[level], `${signs[level]} ${of}${title}`],
      ['quiet', `  ${timeOfDay(status.at)}`],
    ],
    plain(`  ${text}`),
    plain(
      `  5 minutes: ${answered} answered, ${fallback} of them by another target, ${degraded} by default, ${failed} failed, ${aborted} aborted`,
    ),
    [],
    ...tableOf(terminal, status),
    ...status.targets.flatMap(target => serverLines(target, status.at)).map(quiet),
    ...failureGroups(status.targets).map(({ target, reason, status: code, count, newest, requestId }) =>
      quiet(
        `${count} x ${reason}${code === undefined ? '' : ` (HTTP ${code})`} of ${nameOf(target)}, last ${timeOfDay(newest)}${requestId === undefined ? '' : `, ${requestId}`}`,
      ),
    ),
  ]
}

const heads = ['target', 'state', 'answers', 'failures', 'first content', 'in flight', 'cost']
const widths = [30, 34, 12, 9, 18, 14, 10]
const indent = 2
const tableWidth = widths.reduce((sum, width) => sum + width, indent)

/** A row for each target; two lines where a row would be wrapped. */
function tableOf({ isScreen, columns }: Terminal, { targets, recent }: ClientStatus): readonly Line[] {
  const rows = targets.map(target => cellsOf(target, recent.answered).map(clean))
  const row = (cells: readonly string[]): string => cells.map((cell, at) => fitted(cell, widths[at] ?? 0)).join('')
  const line = (tone: Tone, text: string): Line => [[tone, `${' '.repeat(indent)}${text.trimEnd()}`]]
  if (!isScreen || columns >= tableWidth) return [line('quiet', row(heads)), ...rows.map(cells => line('plain', row(cells)))]
  return rows.flatMap(([name, state, ...cells]) => [
    line('plain', `${name}: ${state}`),
    line('quiet', `   ${cells.map((cell, at) => `${heads[at + 2]} ${cell.trim()}`).join(', ')}`),
  ])
}

function cellsOf(target: TargetStatus, all: number): readonly string[] {
  const { state, reason, untilMs, recent, firstChunkMs, inFlight, limit, waiting, cost } = target
  const { sign, words } = states[state]
  const why = state === 'closed' ? '' : ` ${reason ?? ''}${untilMs === undefined ? '' : `, ${duration(untilMs)}`}`
  return [
    `${target.targetIndex + 1}. ${nameOf(target)} ${target.model}`,
    `${sign} ${words}${why}`,
    `${recent.answered} ${share(recent.answered, all)}`,
    String(recent.failed),
    firstChunkMs === undefined ? 'unknown' : `${duration(firstChunkMs.p50)} / ${duration(firstChunkMs.p98)}`,
    `${inFlight}${limit === undefined ? '' : ` of ${limit}`}${waiting === 0 ? '' : `, ${waiting} wait`}`,
    dollars(cost),
  ]
}

/** What a private server reports, and the pings that keep it warm. */
function serverLines(target: TargetStatus, at: string): readonly string[] {
  const { server, keepWarm } = target
  const lines = server === undefined ? [] : [`${nameOf(target)}: ${serverWords(server)}`]
  if (keepWarm !== undefined) lines.push(`${nameOf(target)} is kept warm: ${pingWords(keepWarm, at)}`)
  return lines
}

function pingWords(pings: Pings, at: string): string {
  if (pings.lastAt === undefined) return 'no ping yet'
  const ago = duration(Math.max(0, Date.parse(at) - Date.parse(pings.lastAt)))
  return `${pings.sent} pings, ${pings.failed} failed, the last ${ago} ago: ${pingResult(pings)}`
}

/** Removes control characters, which a terminal would obey, and those that turn the direction of writing, from the text of a service. */
function clean(text: string): string {
  return withoutControls(text)
    .replaceAll(/[\t\n]/g, ' ')
    .replaceAll(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '')
}
