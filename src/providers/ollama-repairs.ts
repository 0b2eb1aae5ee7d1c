import type { Attempt, Call } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { plainDialect } from './chat-completions/dialect.ts'
import { withJsonInstruction } from './chat-completions/output-format.ts'
import { withoutTransport } from './chat-completions/provider.ts'

export type OllamaRepairs = {
  /** What this server takes of no request, by name: later calls are sent without it at once. */
  readonly memory: Set<string>
  send(call: Call, attempt: Attempt): Promise<void>
}

type Asking = {
  readonly attempt: Attempt
  readonly repairs: OllamaRepairs
  /** The cures that this call was changed by. */
  readonly tried: Set<string>
  call: Call
  reasoned: boolean
  answered: boolean
}

/** One request; and another where the server's answer names a cure for it, each cure once. */
export function askWithRepairs(call: Call, attempt: Attempt, repairs: OllamaRepairs): Promise<void> {
  const asking: Asking = { attempt, repairs, tried: new Set(), call, reasoned: false, answered: false }
  for (const cure of cures) if (repairs.memory.has(cure.name) && cure.isNeeded(asking.call)) take(asking, cure)
  return send(asking)
}

function send(asking: Asking): Promise<void> {
  const { attempt, repairs, tried, call } = asking
  const emit: Attempt['emit'] = event => {
    if (event.type === 'reasoning-delta') asking.reasoned = true
    if (event.type === 'text-delta' || event.type === 'tool-call-delta') asking.answered = true
    return attempt.emit(event)
  }
  const watched = { ...attempt, emit }
  return repairs.send(call, asking.reasoned ? withoutTransport(watched) : watched).then(
    () => {
      for (const { name, isKept } of cures) if (isKept && tried.has(name)) repairs.memory.add(name)
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
  return cures.find(cure => !tried.has(cure.name) && cure.isNeeded(call) && cure.isNamed(error, reasoned))
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
  /** It holds for every call to this model, not for this one alone. */
  readonly isKept: boolean
  isNeeded(call: Call): boolean
  isNamed(error: ProviderError, reasoned: boolean): boolean
  change(call: Call): Call
}

const cures: readonly Cure[] = [
  {
    name: 'think',
    setting: 'reasoning',
    message: 'The model cannot be told how much to think: asked again without it.',
    isKept: true,
    isNeeded: ({ reasoning }) => reasoning !== undefined,
    // '"llama3.2" does not support thinking' (CherryHQ/cherry-studio#18744), 'think value "low" is not supported for this model'
    isNamed: ({ status, said = '' }) => status === 400 && /does not support thinking|think value/i.test(said),
    change: call => ({ ...call, reasoning: undefined }),
  },
  {
    name: 'only thought',
    setting: 'reasoning',
    message: 'The model only thought and gave no answer: asked again with reasoning off.',
    isKept: false,
    isNeeded: ({ reasoning }) => reasoning !== 'off',
    // R39; no text was emitted, so nothing can be doubled
    isNamed: ({ reason }, reasoned) => reason === 'empty' && reasoned,
    change: call => ({ ...call, reasoning: 'off' }),
  },
  {
    name: 'format',
    setting: 'output',
    message: 'The server cannot enforce this schema: asked again with the schema in words, and the answer is checked here.',
    isKept: false,
    isNeeded: ({ output }) => output?.schema !== undefined,
    // F43: "invalid JSON schema in format", "failed to load model vocabulary required for format", "... grammar"
    isNamed: ({ status, said = '' }) => (status === 400 || status === 500) && /schema|grammar|\bformat\b/i.test(said),
    change: call => withSchemaInWords(call),
  },
]

function withSchemaInWords(call: Call): Call {
  const told = withJsonInstruction(call, { ...plainDialect, capabilities: { output: 'json-object' } })
  return { ...told, output: { type: 'json' } }
}
