import type { Attempt, Call } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { plainDialect } from './chat-completions/dialect.ts'
import { withoutCallersText } from './chat-failure/quoted-text.ts'
import { withJsonInstruction } from './chat-request/structured-output.ts'
import { withoutTransport } from './chat-completions/provider.ts'

export type OllamaFixes = {
  /** The names of the fixes that this server always needs; later calls are changed before they are sent. */
  readonly memory: Set<string>
  send(call: Call, attempt: Attempt): Promise<void>
}

type Asking = {
  readonly attempt: Attempt
  readonly fixes: OllamaFixes
  /** The fixes that this call has applied. */
  readonly tried: Set<string>
  call: Call
  reasoned: boolean
  answered: boolean
}

/** Sends one request, and another if the server's answer names a fix. Each fix is applied once. */
export function askWithFixes(call: Call, attempt: Attempt, fixes: OllamaFixes): Promise<void> {
  const asking: Asking = { attempt, fixes, tried: new Set(), call, reasoned: false, answered: false }
  for (const cure of cures) if (fixes.memory.has(cure.name) && cure.isNeeded(asking.call)) take(asking, cure)
  return send(asking)
}

function send(asking: Asking): Promise<void> {
  const { attempt, fixes, tried, call } = asking
  const emit: Attempt['emit'] = event => {
    if (event.type === 'reasoning-delta') asking.reasoned = true
    if (event.type === 'text-delta' || event.type === 'tool-call-delta') asking.answered = true
    return attempt.emit(event)
  }
  const watched = { ...attempt, emit }
  return fixes.send(call, asking.reasoned ? withoutTransport(watched) : watched).then(
    () => {
      for (const { name, isKept } of cures) if (isKept && tried.has(name)) fixes.memory.add(name)
    },
    (error: unknown) => {
      const cure = cureFor(error, asking)
      if (cure === undefined) throw error
      attempt.emit({ type: 'asked-again', failure: error as ProviderError })
      take(asking, cure)
      return send(asking)
    },
  )
}

function cureFor(error: unknown, { attempt, answered, reasoned, tried, call }: Asking): Cure | undefined {
  if (attempt.signal.aborted || answered || !ProviderError.isInstance(error)) return undefined
  // what the server quotes of the conversation names no remedy (F74)
  const said = withoutCallersText(error.said ?? '', call)
  return cures.find(cure => !tried.has(cure.name) && cure.isNeeded(call) && cure.isNamed({ error, said, reasoned }))
}

function take(asking: Asking, { name, setting, message, change }: Cure): void {
  asking.attempt.emit({ type: 'warning', setting, message })
  asking.tried.add(name)
  asking.call = change(asking.call)
}

type Cure = {
  readonly name: string
  readonly setting: string
  readonly message: string
  /** The fix holds for every call to this model, not only for this one. */
  readonly isKept: boolean
  isNeeded(call: Call): boolean
  isNamed(refused: { readonly error: ProviderError; readonly said: string; readonly reasoned: boolean }): boolean
  change(call: Call): Call
}

const cures: readonly Cure[] = [
  {
    name: 'think',
    setting: 'reasoning',
    message: 'The model does not accept a level of reasoning. The request was sent again without one.',
    isKept: true,
    isNeeded: ({ reasoning }) => reasoning !== undefined,
    // '"llama3.2" does not support thinking' (CherryHQ/cherry-studio#18744), 'think value "low" is not supported for this model'
    isNamed: ({ error: { status }, said }) => status === 400 && /does not support thinking|think value/i.test(said),
    change: call => ({ ...call, reasoning: undefined }),
  },
  {
    name: 'only thought',
    setting: 'reasoning',
    message: 'The model only thought and gave no answer. The request was sent again with reasoning off.',
    isKept: false,
    isNeeded: ({ reasoning }) => reasoning !== 'off',
    // R39; no text was emitted, so none can be duplicated
    isNamed: ({ error: { reason }, reasoned }) => reason === 'empty' && reasoned,
    change: call => ({ ...call, reasoning: 'off' }),
  },
  {
    name: 'format',
    setting: 'output',
    message:
      'The server cannot enforce this schema. The request was sent again with the schema in words, and unbusy checks the answer.',
    isKept: false,
    isNeeded: ({ output }) => output?.schema !== undefined,
    // F43: "invalid JSON schema in format", "failed to load model vocabulary required for format", "... grammar". Not "image format"
    isNamed: ({ error: { status }, said }) =>
      (status === 400 || status === 500) && /schema|grammar|\b(?:in|for) format\b/i.test(said),
    change: call => withSchemaInWords(call),
  },
]

function withSchemaInWords(call: Call): Call {
  const told = withJsonInstruction(call, { ...plainDialect, capabilities: { output: 'json-object' } })
  return { ...told, output: { type: 'json' } }
}
