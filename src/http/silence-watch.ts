import { BlockList, connect, isIP } from 'node:net'
import { type Exchange, giveUpExchange } from './exchange.ts'
import type { TransportError } from './transport-failure.ts'

/**
 * Asks, while a request is silent, whether its server still listens. llama.cpp stops listening at SIGTERM and then leaves every open
 * request silent until it is killed; no clock that suits a local model would notice (F104). Only for servers on this machine and in
 * private networks: in front of others stand load balancers, that always listen.
 */
export type SilenceWatch = {
  /** To be called when the request is on its way. */
  add(exchange: Exchange): void
  /** To be called when it is over: kept until the next look, thousands of short calls would be held for half a second. */
  remove(exchange: Exchange): void
}

/** A request that is silent for two of these has been silent for half a second at least. */
const lookEveryMs = 500
/** Looks come after this many of them, then after twice as many, up to the last. */
const looksAfter = [2, 4, 8]
/** A look that has no verdict by then has none. */
const patienceMs = 1_000

type State = {
  readonly isDirect: (host: string) => boolean
  readonly exchanges: Set<Exchange>
  /** By origin: where its server is, or undefined when it is not asked. */
  readonly places: Map<string, Place | undefined>
  /** Origins that are being asked now. */
  readonly looking: Set<string>
  timer: NodeJS.Timeout | undefined
}

type Place = { readonly host: string; readonly port: number }

/** @param isDirect whether a host is reached without a proxy */
export function createSilenceWatch(isDirect: (host: string) => boolean): SilenceWatch {
  const state: State = { isDirect, exchanges: new Set(), places: new Map(), looking: new Set(), timer: undefined }
  return { add: exchange => add(state, exchange), remove: exchange => void state.exchanges.delete(exchange) }
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
  // the socket of the request keeps the process, this need not
  state.timer.unref()
}

function tick(state: State): void {
  for (const exchange of state.exchanges) {
    if (exchange.over || exchange.isRead) state.exchanges.delete(exchange)
    // whose reader is behind is not silent, and whose connection has not come about is refused by itself
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

/** One connection at a time, opened and closed. Only a refusal says something: a full server may take long to accept. */
function look(state: State, origin: string): void {
  const place = state.places.get(origin)
  if (place === undefined || state.looking.has(origin)) return
  state.looking.add(origin)
  const socket = connect(place)
  socket.setTimeout(patienceMs, () => socket.destroy())
  socket.unref()
  socket.on('lookup', (_error, address: string) => {
    if (isPrivate(address)) return
    state.places.set(origin, undefined)
    socket.destroy()
  })
  socket.on('connect', () => socket.destroy())
  socket.on('error', (error: TransportError) => {
    if (error.code === 'ECONNREFUSED') refused(state, origin)
  })
  socket.on('close', () => state.looking.delete(origin))
}

function refused({ exchanges }: State, origin: string): void {
  for (const exchange of exchanges) {
    if (exchange.origin === origin && exchange.quiet >= 2) giveUpExchange(exchange, new Error('nothing listens there any more'))
  }
}

function placeOf({ isDirect }: State, origin: string): Place | undefined {
  const { hostname, port, protocol } = new URL(origin)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (!isNear(host) || !isDirect(host)) return undefined
  return { host, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) }
}

/** An address on this machine or in a private network, or a name that is only known there. What a name stands for is seen at the look. */
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
