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
import { type Terminal, withoutControls } from './terminal.ts'

const help = `unbusy watch URL - shows the status of a service, again and again. statusHandler() of unbusy/status serves it.

  unbusy watch http://127.0.0.1:9464/status
  --once            shows it once and exits
  --every SECONDS   the time between two requests (default 2)
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
      throw new UsageError('watch: the address must not contain a user or a password.')
    const everyMs = 1_000 * Number(values.every ?? 2)
    if (!(everyMs >= 100)) throw new UsageError('watch: --every must be a number of seconds, 0.1 or more, for example --every 5.')
    if (values.once === true) return show(await look(url, world.signal), world)
    await watching(url, everyMs, world)
    return exitCode.answered
  },
}

type Seen = { readonly clients: readonly (readonly [name: string, status: ClientStatus])[] } | { readonly problem: string }

async function watching(url: URL, everyMs: number, world: World): Promise<void> {
  const { stdout, signal } = world
  for (;;) {
    const seen = await look(url, signal)
    // move to the upper left corner and clear the rest of the screen
    if (stdout.isScreen) stdout.write('\x1b[H\x1b[J')
    show(seen, world)
    await pause(everyMs, signal)
  }
}

/** A service that is down, or a page that is not a status page, does not end the command: the next poll may succeed. */
async function look(url: URL, signal: AbortSignal): Promise<Seen> {
  // a query may contain a key
  const shown = `${url.origin}${url.pathname}`
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    })
    const data: unknown = await response.json()
    if (isStatus(data)) return { clients: [['', data]] }
    const clients = typeof data === 'object' && data !== null && 'clients' in data ? Object.entries(data.clients as object) : []
    if (clients.length > 0 && clients.every(([, status]) => isStatus(status)))
      return { clients: clients as [string, ClientStatus][] }
    return {
      problem: `${shown} returns ${response.status} without a status of unbusy. Serve statusHandler(client) there.`,
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    return { problem: `${shown} does not answer: ${error instanceof Error ? causeOf(error) : String(error)}` }
  }
}

function causeOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message
}

function isStatus(data: unknown): data is ClientStatus {
  return typeof data === 'object' && data !== null && 'targets' in data && Array.isArray(data.targets) && 'recent' in data
}

function show(seen: Seen, { stdout }: World): number {
  if ('problem' in seen) {
    stdout.line(stdout.paint('bad', withoutControls(seen.problem)))
    return exitCode.unanswered
  }
  for (const [name, status] of seen.clients) for (const line of linesOf(stdout, name, status)) stdout.line(line)
  return exitCode.answered
}

const colors = { good: 'good', fair: 'wait', bad: 'bad', idle: 'quiet' } as const satisfies Record<Level, string>

function linesOf({ paint }: Terminal, name: string, status: ClientStatus): readonly string[] {
  const { level, title, text } = verdictOf(status)
  const { answered, fallback, degraded, failed, aborted } = status.recent
  const of = name === '' ? '' : `${name}: `
  return [
    '',
    `${paint(colors[level], `${signs[level]} ${clean(of)}${title}`)}  ${paint('quiet', timeOfDay(status.at))}`,
    `  ${clean(text)}`,
    `  5 minutes: ${answered} answered, ${fallback} of them by another target, ${degraded} by default, ${failed} failed, ${aborted} aborted`,
    '',
    paint('quiet', `  ${columns(['target', 'state', 'answers', 'failures', 'first content', 'in flight', 'cost'])}`),
    ...status.targets.map(target => `  ${targetLine(target, answered)}`),
    ...status.targets.flatMap(target => serverLines(target, status.at)).map(line => paint('quiet', `  ${line}`)),
    ...failureGroups(status.targets).map(({ target, reason, status: code, count, newest, requestId }) =>
      paint(
        'quiet',
        `  ${count} x ${clean(reason)}${code === undefined ? '' : ` (HTTP ${code})`} of ${clean(nameOf(target))}, last ${timeOfDay(newest)}${requestId === undefined ? '' : `, ${clean(requestId)}`}`,
      ),
    ),
  ]
}

function targetLine(target: TargetStatus, all: number): string {
  const { state, reason, untilMs, recent, firstChunkMs, inFlight, limit, waiting, cost } = target
  const { sign, words } = states[state]
  const why = state === 'closed' ? '' : ` ${reason ?? ''}${untilMs === undefined ? '' : `, ${duration(untilMs)}`}`
  return columns([
    `${target.targetIndex + 1}. ${nameOf(target)} ${target.model}`,
    `${sign} ${words}${why}`,
    `${recent.answered} ${share(recent.answered, all)}`,
    String(recent.failed),
    firstChunkMs === undefined ? 'unknown' : `${duration(firstChunkMs.p50)} / ${duration(firstChunkMs.p98)}`,
    `${inFlight}${limit === undefined ? '' : ` of ${limit}`}${waiting === 0 ? '' : `, ${waiting} wait`}`,
    dollars(cost),
  ])
}

/** What a private server reports, and the pings that keep it warm. */
function serverLines(target: TargetStatus, at: string): readonly string[] {
  const { server, keepWarm } = target
  const lines = server === undefined ? [] : [`${nameOf(target)}: ${serverWords(server)}`]
  if (keepWarm !== undefined) lines.push(`${nameOf(target)} is kept warm: ${pingWords(keepWarm, at)}`)
  return lines.map(clean)
}

function pingWords(pings: Pings, at: string): string {
  if (pings.lastAt === undefined) return 'no ping yet'
  const ago = duration(Math.max(0, Date.parse(at) - Date.parse(pings.lastAt)))
  return `${pings.sent} pings, ${pings.failed} failed, the last ${ago} ago: ${pingResult(pings)}`
}

const widths = [30, 34, 12, 9, 18, 14, 10]

function columns(cells: readonly string[]): string {
  return cells
    .map((cell, index) =>
      clean(cell)
        .slice(0, (widths[index] ?? 10) - 1)
        .padEnd(widths[index] ?? 10),
    )
    .join('')
    .trimEnd()
}

/** Removes control characters, which a terminal would obey, from the text of a service. */
function clean(text: string): string {
  return withoutControls(text).replaceAll('\n', ' ')
}
