import type { Dispatcher } from 'undici'
import type { Attempt, ResponseHeaders } from '../contract.ts'
import { createBody } from './body.ts'
import type { Body, BodyReader } from './plain-body.ts'
import type { Route, RoutedRequest } from './single-connection.ts'
import { transportFailure } from './transport-failure.ts'
import type { Phase, TransportError } from './transport-failure.ts'

export type ExchangeOptions = {
  readonly dispatcher: Dispatcher
  readonly request: Dispatcher.DispatchOptions & { readonly origin: string }
  readonly attempt: Attempt
  readonly maxBodyBytes: number
  readonly respond: (status: number, headers: ResponseHeaders) => BodyReader
  /** The answer was read to its end. Of the three `on` functions one is called, once, and none after `close`. */
  readonly onDone: () => void
  /** It cannot go on. */
  readonly onFail: (error: unknown) => void
  /** The connection was lost before the headers of an answer, or never came about. */
  readonly onLost: (loss: Loss) => void
}

export type Loss = {
  readonly error: TransportError
  readonly phase: 'connecting' | 'waiting'
  /** Other requests used the connection before this one. */
  readonly reused: boolean
  /** Something of an answer came, if only a byte. */
  readonly answered: boolean
  /** How long after it was sent the connection was lost. */
  readonly afterMs: number
}

/** One request on its way, once. */
export type Exchange = {
  /** Ends it at once, in any state: its connection is closed, also one that is still being opened; nothing is called any more. */
  close(): void
}

type State = {
  readonly options: ExchangeOptions
  readonly route: Route
  phase: Phase
  status: number
  answered: boolean
  sentAt: number
  over: boolean
  controller: Dispatcher.DispatchController | undefined
  reader: BodyReader | undefined
  body: Body | undefined
}

/** Sends one request and hands its answer on by plain function calls: no promise, no stream and no generator for a chunk. */
export function startExchange(options: ExchangeOptions): Exchange {
  const state: State = {
    options,
    route: {},
    phase: 'connecting',
    status: 0,
    answered: false,
    sentAt: 0,
    over: false,
    controller: undefined,
    reader: undefined,
    body: undefined,
  }
  const routed: RoutedRequest = { ...options.request, signal: options.attempt.signal, route: state.route }
  guarded(state, () => options.dispatcher.dispatch(routed, handlerOf(state)))
  return { close: () => close(state) }
}

/** undici calls these, in this order, and does not expect them to throw. */
function handlerOf(state: State): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller) {
      state.controller = controller
      state.phase = 'waiting'
      state.sentAt = performance.now()
      if (state.over) controller.abort(abandoned)
      else guarded(state, () => state.options.attempt.emit({ type: 'sent' }))
    },
    onResponseStarted() {
      state.answered = true
    },
    onResponseStart(_, status, headers) {
      // 103 and its like come before the answer
      if (status >= 200) guarded(state, () => openBody(state, status, headers))
    },
    onResponseData(controller, chunk) {
      if (state.over) return
      try {
        if (state.body?.write(chunk) === false) controller.pause()
      } catch (error) {
        fail(state, error)
      }
    },
    onResponseEnd() {
      const { lost } = state.route
      guarded(state, () => (lost === undefined ? state.body?.end() : fail(state, brokenOff(state, lost))))
    },
    onResponseError(_, error) {
      if (!end(state)) return
      if (state.phase === 'reading') state.options.onFail(brokenOff(state, error))
      else state.options.onLost(lossOf(state, state.phase, error))
    },
  }
}

function openBody(state: State, status: number, headers: ResponseHeaders): void {
  const { attempt, maxBodyBytes, respond } = state.options
  state.phase = 'reading'
  state.status = status
  attempt.emit({ type: 'headers', status, headers })
  // who listens may have ended the attempt
  if (state.over) return
  const reader = respond(status, headers)
  state.reader = reader
  state.body = createBody({
    reader,
    headers,
    attempt,
    maxBodyBytes,
    resume: () => resume(state),
    done: () => {
      if (end(state)) state.options.onDone()
    },
    fail: error => fail(state, error),
  })
}

/** In a microtask: undici's parser is one for all connections, and may be at work on another answer when the reader catches up. */
function resume(state: State): void {
  queueMicrotask(() => {
    if (!state.over) state.controller?.resume()
  })
}

/** A refusal is a refusal, even when only a part of its text came: its status and its headers say what to do. */
function brokenOff(state: State, error: TransportError): unknown {
  const { status, phase, reader } = state
  try {
    if (status >= 300) reader?.end()
  } catch (refusal) {
    return refusal
  }
  return transportFailure(error, { phase, origin: state.options.request.origin, status })
}

function lossOf({ route, answered, sentAt }: State, phase: Loss['phase'], error: TransportError): Loss {
  // a dispatcher of the user's fills in no route; undici's own errors then tell what the connection had read before
  const reused = route.reused ?? (error.socket?.bytesRead ?? 0) > 0
  return { error, phase, reused, answered, afterMs: performance.now() - sentAt }
}

function guarded(state: State, action: () => unknown): void {
  if (state.over) return
  try {
    action()
  } catch (error) {
    fail(state, error)
  }
}

function fail(state: State, error: unknown): void {
  if (close(state)) state.options.onFail(error)
}

function close(state: State): boolean {
  const isFirst = end(state)
  // without a controller it is not on a connection yet: `onRequestStart` closes that, and the signal the attempt to open it
  if (isFirst) state.controller?.abort(abandoned)
  return isFirst
}

/** Answers whether it was not over already. */
function end(state: State): boolean {
  if (state.over) return false
  state.over = true
  state.body?.close()
  return true
}

/** For undici, where nobody hears of it. One for all: a stack trace would cost more than the abort. */
const abandoned = new Error('The request was abandoned.')
