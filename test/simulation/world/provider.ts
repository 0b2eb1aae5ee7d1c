import type { Attempt, Call, Provider, ProviderEvent } from '../../../src/contract.ts'
import { ProviderError } from '../../../src/errors.ts'
import { inputTokens, type Listener, type Refusal, type Server } from './server.ts'
import { piece, type Ledger, type ServerName } from './ledger.ts'
import type { VirtualTime } from '../../helpers/virtual-time.ts'

type World = {
  readonly time: VirtualTime
  readonly ledger: Ledger
  readonly random: () => number
  readonly note: (call: number, text: string) => void
}

/** What a call tells the world through `metadata`: its number. */
export function callNumber(metadata: Call['metadata']): number {
  return metadata['number'] as number
}

const noHeaders = {}

/** A modelled server as one process of the fleet sees it. Each process has its own, because each is told its own Retry-After. */
export function createModelProvider(name: ServerName, server: Server, world: World): Provider {
  const { time, ledger, note } = world
  let notBefore = -Infinity

  const send = (call: number, attempt: Attempt, settle: Settle): void => {
    const { signal } = attempt
    const number = ledger.attemptCall.push(call) - 1
    ledger.attemptServer.push(name)
    ledger.attemptFirstTokenAt.push(NaN)
    ledger.attempts[call]!++
    if (time.now() < notBefore) ledger.faults.beforeRetryAfter++
    note(call, `#${number} sent to ${name}`)
    const tell = (event: ProviderEvent): void => void attempt.emit(event)

    const close = (): void => signal.removeEventListener('abort', onAbort)
    const listener: Listener = {
      onHeaders: () => tell({ type: 'headers', status: 200, headers: noHeaders }),
      onQueued() {
        note(call, `#${number} queued`)
        tell({ type: 'queued' })
      },
      onFirstToken() {
        note(call, `#${number} first token`)
        ledger.attemptFirstTokenAt[number] = time.now()
        tell({ type: 'text-delta', text: piece(number) })
      },
      onEnd() {
        note(call, `#${number} whole`)
        close()
        tell({ type: 'text-delta', text: piece(number) })
        tell({ type: 'finish', finishReason: 'stop', usage: { inputTokens, outputTokens: request.outputTokens } })
        settle.resolve()
      },
      onRefused(refusal) {
        note(call, `#${number} refused ${refusal.status} ${refusal.retryAfterMs ?? ''}`)
        close()
        if (refusal.retryAfterMs !== undefined) notBefore = Math.max(notBefore, time.now() + refusal.retryAfterMs)
        settle.reject(refusedError(name, refusal))
      },
      onCut() {
        note(call, `#${number} cut`)
        close()
        // Half of all cut streams end as if nothing had happened: only the missing `finish` tells.
        if (world.random() < 0.5) settle.resolve()
        else settle.reject(new ProviderError(`${name} closed the connection.`, { reason: 'network', provider: name }))
      },
    }
    const request = server.ask({
      outputTokens: ledger.arrivals.outputTokens[call]!,
      listener,
      settle: ({ input, output }) => bill(ledger, { call, server, input, output }),
    })
    const onAbort = (): void => {
      note(call, `#${number} aborted`)
      server.cancel(request)
      settle.reject(signal.reason)
    }
    tell({ type: 'connecting' })
    tell({ type: 'sent' })
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  }

  return {
    name,
    stream: (call, attempt) => new Promise((resolve, reject) => send(callNumber(call.metadata), attempt, { resolve, reject })),
  }
}

type Settle = { resolve(): void; reject(error: unknown): void }

function refusedError(provider: ServerName, { status, retryAfterMs }: Refusal): ProviderError {
  const reason = status === 429 ? 'rate-limit' : 'overloaded'
  return new ProviderError(`${provider} answered ${status}.`, { reason, status, provider, retryAfterMs })
}

function bill(
  ledger: Ledger,
  { call, server, input, output }: { call: number; server: Server; input: number; output: number },
): void {
  const { price } = server.model
  ledger.billedInput[call]! += input
  ledger.billedOutput[call]! += output
  ledger.dollars[call]! += (input * price.input + output * price.output) / 1e6
}
