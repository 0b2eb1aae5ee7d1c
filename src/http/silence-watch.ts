import { BlockList, connect, isIP } from 'node:net'
import { type Exchange, giveUpExchange } from './exchange.ts'
import type { TransportError } from './transport-failure.ts'

/**
 * Checks, while a request is silent, whether its server still listens. At SIGTERM llama.cpp stops listening and leaves every open
 * request silent until it is killed, and no timeout that suits a local model would notice (F104). Only servers on this machine and in
 * private networks are checked, because other servers are behind load balancers, which always listen.
 *
 * In one of three shutdowns llama.cpp keeps listening and answers `/health` with 200 (measured at b11669). Only a page that the stopped
 * server cannot answer shows that. But a server that wakes up after `--sleep-idle-seconds` looks exactly the same: `/health` answers 200,
 * an unknown path 404, and `/props`, `/metrics`, `/slots` and `/v1/models` answer nothing. So the page is requested only when the server
 * cannot be waking up: an answer had begun, or the server had rested no longer than it did before an earlier request that it answered at once.
 */
export type SilenceWatch = {
  /** Call this when the request has started. */
  add(exchange: Exchange): void
  /** Call this when the request is over: without it, thousands of short calls would stay in memory until the next tick. */
  remove(exchange: Exchange): void
}

/** The interval of the ticks. A request that is silent for two ticks has been silent for at least half a second. */
const lookEveryMs = 500
/** A server is checked after this many silent ticks, and then each time the last number of ticks has passed. */
const looksAfter = [2, 4, 8]
/** A check without a result after this time counts for nothing. */
const patienceMs = 1_000

/** How long the page may take, twice, before the server counts as stopped. A working server answers it within milliseconds. */
const pagePatienceMs = 1_500
const pageTries = 2

/** No server goes to sleep within this time. llama.cpp does after a second at the soonest, but we hear of the end of its work later. */
const leastIdleMs = 500
/** An answer that begins within this time did not wait for a model to be loaded. */
const atOnceMs = 1_000
/**
 * Longer rests count as this long, because the calls of other clients may have kept the server awake then, and not now. If it is waking up
 * after all, at most three requests are lost on it, one after the other, and the next one waits.
 */
const longestRestMs = 10_000

type State = {
  /** Path of a page that a working server answers at once. Undefined: no such page is known. */
  readonly page: string | undefined
  readonly isDirect: (host: string) => boolean
  readonly exchanges: Set<Exchange>
  /** The address of the server by origin; undefined if that server is not checked. */
  readonly places: Map<string, Place | undefined>
  /** Origins that are being checked now. */
  readonly looking: Set<string>
  /** Those origins of `looking` whose page is being requested. */
  readonly asking: Set<string>
  /** When the server last worked for us, by origin. Its pages do not count: it answers them while it sleeps. */
  readonly heardAt: Map<string, number>
  /** The longest rest, by origin, after which the server answered at once: after so long it does not sleep, or wakes up in no time. */
  readonly rests: Map<string, number>
  /** Origins at which a request ended without an answer since the server last worked: that request may have woken it. */
  readonly abandoned: Set<string>
  timer: NodeJS.Timeout | undefined
}

type Place = { readonly host: string; readonly port: number; readonly isPlain: boolean }

/**
 * @param isDirect whether a host is reached without a proxy
 * @param page path of a page that a working server answers at once
 */
export function createSilenceWatch(isDirect: (host: string) => boolean, page?: string): SilenceWatch {
  const state: State = {
    page,
    isDirect,
    exchanges: new Set(),
    places: new Map(),
    looking: new Set(),
    asking: new Set(),
    heardAt: new Map(),
    rests: new Map(),
    abandoned: new Set(),
    timer: undefined,
  }
  return { add: exchange => add(state, exchange), remove: exchange => remove(state, exchange) }
}

function add(state: State, exchange: Exchange): void {
  const { origin } = exchange
  let place = state.places.get(origin)
  if (place === undefined && !state.places.has(origin)) {
    place = placeOf(state, origin)
    state.places.set(origin, place)
  }
  if (place === undefined || exchange.over) return
  state.exchanges.add(exchange)
  if (state.timer !== undefined) return
  state.timer = setInterval(() => tick(state), lookEveryMs)
  // The socket of the request keeps the process alive; the timer need not.
  state.timer.unref()
}

function remove(state: State, exchange: Exchange): void {
  state.exchanges.delete(exchange)
  if (exchange.answered) heard(state, exchange)
  else if (isWork(exchange)) state.abandoned.add(exchange.origin)
}

function isWork({ asker }: Exchange): boolean {
  return asker.method !== 'GET'
}

/** The server works on this request, or has just finished. */
function heard(state: State, exchange: Exchange): void {
  if (!isWork(exchange)) return
  const { heardAt, rests, abandoned } = state
  const { origin, sentAt } = exchange
  const now = performance.now()
  const rest = Math.min(longestRestMs, sentAt - (heardAt.get(origin) ?? sentAt))
  const wasWoken = abandoned.delete(origin)
  if (!wasWoken && now - sentAt < atOnceMs && rest > (rests.get(origin) ?? leastIdleMs) && isFirst(state, exchange))
    rests.set(origin, rest)
  heardAt.set(origin, now)
}

/** Whether no earlier request waits at this server: it may have woken the server for this one. */
function isFirst({ exchanges }: State, { origin, sentAt }: Exchange): boolean {
  for (const other of exchanges) {
    if (other.origin === origin && isWork(other) && other.sentAt < sentAt) return false
  }
  return true
}

function tick(state: State): void {
  for (const exchange of state.exchanges) {
    if (exchange.quiet === 0 && exchange.answered) heard(state, exchange)
    if (exchange.over || exchange.isRead) state.exchanges.delete(exchange)
    // A request whose reader is behind is not silent, and a connection that is still opening is refused without our help.
    else if (!exchange.waiting && exchange.phase !== 'connecting') {
      exchange.quiet += 1
      if (isDue(exchange.quiet)) look(state, exchange.origin)
    }
  }
  if (state.exchanges.size > 0) return
  clearInterval(state.timer)
  state.timer = undefined
}

function isDue(quiet: number): boolean {
  const [last = 1] = looksAfter.slice(-1)
  return looksAfter.includes(quiet) || quiet % last === 0
}

/** Opens and closes a connection, one at a time. Only a refused connection is a result: a full server may take long to accept. */
function look(state: State, origin: string): void {
  const place = state.places.get(origin)
  if (place === undefined || state.looking.has(origin)) return
  state.looking.add(origin)
  const socket = connect({ host: place.host, port: place.port })
  socket.setTimeout(patienceMs, () => socket.destroy())
  socket.unref()
  socket.on('lookup', (_error, address: string) => {
    if (isPrivate(address)) return
    state.places.set(origin, undefined)
    socket.destroy()
  })
  const { page } = state
  socket.on('connect', () => {
    socket.destroy()
    if (page !== undefined && place.isPlain && hasStopped(state, origin))
      askPage(state, origin, { place, page, tries: pageTries })
  })
  socket.on('error', (error: TransportError) => {
    if (error.code === 'ECONNREFUSED') giveUp(state, origin, { why: 'nothing listens there any longer' })
  })
  socket.on('close', () => {
    if (!state.asking.has(origin)) state.looking.delete(origin)
  })
}

/** Whether a request is silent although its answer had begun, or its server was awake when the request arrived. */
function hasStopped({ exchanges, heardAt, rests }: State, origin: string): boolean {
  const awakeUntil = (heardAt.get(origin) ?? -Infinity) + (rests.get(origin) ?? leastIdleMs)
  for (const { origin: its, quiet, body, sentAt } of exchanges) {
    if (its === origin && quiet >= 2 && ((body?.bytes ?? 0) > 0 || sentAt < awakeUntil)) return true
  }
  return false
}

type Question = { readonly place: Place; readonly page: string; readonly tries: number }

/** Requests the page up to `tries` times. Any byte counts as an answer; a server that never answers has stopped. */
function askPage(state: State, origin: string, { place, page, tries }: Question): void {
  state.asking.add(origin)
  const { host, port } = place
  let isAnswered = false
  const socket = connect({ host, port })
  socket.setTimeout(pagePatienceMs, () => socket.destroy())
  socket.unref()
  socket.on(
    'connect',
    () =>
      void socket.write(
        `GET ${page} HTTP/1.1\r\nhost: ${isIP(host) === 6 ? `[${host}]` : host}:${port}\r\nconnection: close\r\n\r\n`,
      ),
  )
  socket.on('data', () => {
    isAnswered = true
    socket.destroy()
  })
  // `close` follows `error` and does all the work.
  socket.on('error', () => {})
  socket.on('close', () => {
    const isSilent = !isAnswered && hasStopped(state, origin)
    if (isSilent && tries > 1) return askPage(state, origin, { place, page, tries: tries - 1 })
    state.asking.delete(origin)
    state.looking.delete(origin)
    if (isSilent) giveUp(state, origin, { why: 'its server listens, but no longer answers', retryAfterMs: restAfterStopMs })
  })
}

/** An immediate retry would find a stopped server just as silent, so calls ask other targets for this time. */
const restAfterStopMs = 3_000

type Stopped = { readonly why: string; readonly retryAfterMs?: number }

function giveUp({ exchanges }: State, origin: string, { why, retryAfterMs }: Stopped): void {
  for (const exchange of exchanges) {
    if (exchange.origin === origin && exchange.quiet >= 2)
      giveUpExchange(exchange, Object.assign(new Error(why), { retryAfterMs }))
  }
}

function placeOf({ isDirect }: State, origin: string): Place | undefined {
  const { hostname, port, protocol } = new URL(origin)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (!isNear(host) || !isDirect(host)) return undefined
  const isPlain = protocol === 'http:'
  return { host, isPlain, port: port === '' ? (isPlain ? 80 : 443) : Number(port) }
}

/** Whether the host is an address on this machine or in a private network, or a name known only there. The check resolves the name. */
function isNear(host: string): boolean {
  if (isIP(host) !== 0) return isPrivate(host)
  return !host.includes('.') || /\.(?:localhost|local|internal|lan|svc|home\.arpa)$/i.test(host)
}

const privateNetworks = new BlockList()
for (const [network, prefix] of [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
] as const) {
  privateNetworks.addSubnet(network, prefix, 'ipv4')
}
privateNetworks.addAddress('::1', 'ipv6')
privateNetworks.addSubnet('fc00::', 7, 'ipv6')
privateNetworks.addSubnet('fe80::', 10, 'ipv6')

function isPrivate(address: string): boolean {
  return privateNetworks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}
