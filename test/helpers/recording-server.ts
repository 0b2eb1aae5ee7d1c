import type { IncomingHttpHeaders } from 'node:http'
import { onTestFinished } from 'vitest'
import type { Call, ProviderEvent } from '../../src/contract.ts'
import type { Target } from '../../src/contract-targets.ts'
import { httpServer } from './http-servers.ts'

export type Recorded = {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON; undefined where there is none. */
  readonly body: Record<string, unknown>
}

export type Answer = { readonly status?: number; readonly headers?: Record<string, string>; readonly body: string }

export type Recorder = { readonly origin: string; readonly requests: readonly Recorded[] }

/** A real server that writes down every request and answers by a function. It is closed when the test has finished. */
export async function startRecorder(answer: (request: Recorded, index: number) => Answer): Promise<Recorder> {
  const requests: Recorded[] = []
  const { origin } = await httpServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const text = Buffer.concat(parts).toString()
      const body = (text === '' ? undefined : JSON.parse(text)) as Record<string, unknown>
      const recorded = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, text, body }
      requests.push(recorded)
      const { status = 200, headers = {}, body: sent } = answer(recorded, requests.length - 1)
      response.writeHead(status, headers).end(sent)
    })
  })
  return { origin, requests }
}

/** The events of one attempt. Rejects as the provider does. */
export async function ask(target: Target, call: Partial<Call> & Pick<Call, 'messages'>): Promise<ProviderEvent[]> {
  const events: ProviderEvent[] = []
  onTestFinished(() => target.provider.close?.())
  await target.provider.stream(
    { model: target.model, metadata: {}, ...call },
    {
      signal: new AbortController().signal,
      emit: event => {
        events.push(event)
        return true
      },
      onDrain() {},
    },
  )
  return events
}

/** What of the events is the answer, and the warnings: without the steps of the transport. */
export function answerOf(events: readonly ProviderEvent[]) {
  const told = new Set(['warning', 'reasoning-delta', 'text-delta', 'tool-call', 'finish'])
  return events.filter(event => told.has(event.type))
}

export function warningsOf(events: readonly ProviderEvent[]): string[] {
  return events.flatMap(event => (event.type === 'warning' ? event.setting : []))
}

/** A stream of chat completions that says one text. */
export function chatStream(text: string, fields: Record<string, unknown> = {}): Answer {
  const chunks = [
    { id: 'a', model: 'm', choices: [{ index: 0, delta: { role: 'assistant', content: text, ...fields }, finish_reason: null }] },
    {
      id: 'a',
      model: 'm',
      choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
      usage: { prompt_tokens: 3, completion_tokens: 1 },
    },
  ]
  const body = [...chunks.map(chunk => JSON.stringify(chunk)), '[DONE]'].map(data => `data: ${data}\n\n`).join('')
  return { headers: { 'content-type': 'text/event-stream' }, body }
}
