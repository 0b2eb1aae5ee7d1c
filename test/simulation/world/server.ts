import type { Price } from '../../../src/contract-targets.ts'
import { logNormal, type LogNormal } from '../../helpers/random.ts'
import type { Appointment } from '../../../src/testing/agenda.ts'
import type { VirtualTime } from '../../helpers/virtual-time.ts'

/** How one modelled server behaves. Times in milliseconds. */
export type ServerModel = {
  readonly name: string
  readonly firstToken: LogNormal
  readonly tokensPerSecond: number
  readonly slots: number
  /** Requests that may wait for a slot; more are refused. */
  readonly queue: number
  /** Tells the caller that it waits. Without it the server says nothing before it begins. */
  readonly keepAlives: boolean
  /** Requests taken in each window; more get a 429 that names the end of the window. */
  readonly quota?: { readonly requests: number; readonly windowMs: number } | undefined
  /** Share of prefills that are stuck for another 10 to 30 s. */
  readonly stuck: number
  /** Share of answers that are cut at a random place. */
  readonly cut: number
  /** A request whose caller has gone gives its slot back at once; otherwise it runs to its end, and is billed. */
  readonly cancellable: boolean
  readonly price: Price
}

/** What a scenario changes while the day goes on. */
export type ServerState = {
  /** `refusing`: a fast 503. `silent`: a black hole. What is queued or in flight when either begins is cut. */
  readonly mode: 'up' | 'refusing' | 'silent'
  readonly slots: number
  /** Share of requests that get a 503. */
  readonly brownout: number
}

export type Refusal = { readonly status: 503 | 429; readonly retryAfterMs: number | undefined }

/** What the asking side hears, in this order; exactly one of the last three ends it. */
export type Listener = {
  onHeaders(): void
  onQueued(): void
  onFirstToken(): void
  onEnd(): void
  onRefused(refusal: Refusal): void
  onCut(): void
}

export type Request = {
  readonly outputTokens: number
  readonly listener: Listener
  /** Called once, when the server has nothing more to do for it. */
  readonly settle: (billed: { readonly input: number; readonly output: number }) => void
  state: 'travelling' | 'queued' | 'running' | 'over'
  /** The caller has gone, the server does not know it. */
  deserted: boolean
  firstTokenAt: number
  next: Appointment | undefined
}

export type ServerLoad = { readonly running: number; readonly waiting: number }

export type Server = {
  readonly model: ServerModel
  ask(request: Pick<Request, 'outputTokens' | 'listener' | 'settle'>): Request
  cancel(request: Request): void
  change(state: Partial<ServerState>): void
  load(): ServerLoad
}

export const inputTokens = 1000

const travelMs = 30
const keepAliveMs = 10_000
const refusalMs = { outage: 50, quota: 50, brownout: 200, full: 300 } as const

export function createServer(model: ServerModel, world: { time: VirtualTime; random: () => number; onArrival(): void }): Server {
  const { time, random } = world
  const queue: Request[] = []
  const running = new Set<Request>()
  let queueHead = 0
  let waiting = 0
  let state: ServerState = { mode: 'up', slots: model.slots, brownout: 0 }
  let window = { index: -1, taken: 0 }

  const arrive = (request: Request): void => {
    world.onArrival()
    if (state.mode === 'silent') return
    if (state.mode === 'refusing') return refuse(request, refusalMs.outage, { status: 503, retryAfterMs: undefined })
    if (state.brownout > 0 && random() < state.brownout) {
      return refuse(request, refusalMs.brownout, { status: 503, retryAfterMs: undefined })
    }
    const retryAfterMs = overQuotaForMs()
    if (retryAfterMs !== undefined) return refuse(request, refusalMs.quota, { status: 429, retryAfterMs })
    if (running.size < state.slots && waiting === 0) return start(request)
    if (waiting >= model.queue) return refuse(request, refusalMs.full, { status: 503, retryAfterMs: undefined })
    enqueue(request)
  }

  const overQuotaForMs = (): number | undefined => {
    if (model.quota === undefined) return undefined
    const { requests, windowMs } = model.quota
    const index = Math.floor(time.now() / windowMs)
    if (index !== window.index) window = { index, taken: 0 }
    if (window.taken >= requests) return (index + 1) * windowMs - time.now()
    window.taken++
    return undefined
  }

  const refuse = (request: Request, afterMs: number, refusal: Refusal): void => {
    request.next = time.at(time.now() + afterMs, () => {
      finish(request, 0)
      request.listener.onRefused(refusal)
    })
  }

  const enqueue = (request: Request): void => {
    request.state = 'queued'
    queue.push(request)
    waiting++
    if (!model.keepAlives) return
    request.listener.onHeaders()
    keepAlive(request)
  }

  const keepAlive = (request: Request): void => {
    if (request.state !== 'queued' || request.deserted) return
    request.next = time.at(time.now() + keepAliveMs, () => keepAlive(request))
    request.listener.onQueued()
  }

  const start = (request: Request): void => {
    request.state = 'running'
    running.add(request)
    const stuckMs = model.stuck > 0 && random() < model.stuck ? 10_000 + 20_000 * random() : 0
    request.next = time.at(time.now() + logNormal(random, model.firstToken) + stuckMs, () => begin(request))
    if (!request.deserted) request.listener.onHeaders()
  }

  const begin = (request: Request): void => {
    request.firstTokenAt = time.now()
    const durationMs = (request.outputTokens / model.tokensPerSecond) * 1000
    const isCut = model.cut > 0 && random() < model.cut
    const endsAt = time.now() + (isCut ? durationMs * random() : durationMs)
    request.next = time.at(endsAt, () => {
      finish(request, isCut ? generated(request) : request.outputTokens)
      if (isCut && !request.deserted) request.listener.onCut()
      else if (!request.deserted) request.listener.onEnd()
      startWaiting()
    })
    if (!request.deserted) request.listener.onFirstToken()
  }

  const generated = (request: Request): number => {
    if (Number.isNaN(request.firstTokenAt)) return 0
    return Math.min(request.outputTokens, ((time.now() - request.firstTokenAt) / 1000) * model.tokensPerSecond)
  }

  /** Takes a request out of the server, wherever it stands. */
  const finish = (request: Request, output: number): void => {
    const wasRunning = running.delete(request)
    if (request.state === 'queued') waiting--
    request.state = 'over'
    if (request.next !== undefined) time.cancel(request.next)
    request.settle({ input: wasRunning ? inputTokens : 0, output })
  }

  const startWaiting = (): void => {
    while (waiting > 0 && running.size < state.slots) {
      const request = queue[queueHead++]
      if (request === undefined) break
      if (request.state !== 'queued') continue
      waiting--
      if (request.next !== undefined) time.cancel(request.next)
      start(request)
    }
    if (queueHead < 1000 || queueHead * 2 < queue.length) return
    queue.splice(0, queueHead)
    queueHead = 0
  }

  const cancel = (request: Request): void => {
    if (request.state === 'over') return
    if (!model.cancellable && request.state !== 'travelling') {
      request.deserted = true
      return
    }
    finish(request, generated(request))
    startWaiting()
  }

  const cutAll = (): void => {
    const cut = [...running, ...queue.slice(queueHead).filter(request => request.state === 'queued')]
    for (const request of cut) finish(request, generated(request))
    for (const request of cut) if (!request.deserted) time.at(time.now(), () => request.listener.onCut())
  }

  return {
    model,
    ask(asked) {
      const request: Request = { ...asked, state: 'travelling', deserted: false, firstTokenAt: NaN, next: undefined }
      request.next = time.at(time.now() + travelMs, () => arrive(request))
      return request
    },
    cancel,
    change(changes) {
      const wasUp = state.mode === 'up'
      state = { ...state, ...changes }
      if (wasUp && state.mode !== 'up') cutAll()
      startWaiting()
    },
    load: () => ({ running: running.size, waiting }),
  }
}
