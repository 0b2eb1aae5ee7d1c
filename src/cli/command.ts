import { parseArgs, type ParseArgsConfig } from 'node:util'
import { suggestion } from '../suggestion.ts'
import type { Terminal } from './terminal.ts'

/** What a command may use: its output, its input and a signal. */
export type World = {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: Terminal
  readonly stderr: Terminal
  /** Fires with a {@link Stop} on Ctrl-C, or when the output has been closed. */
  readonly signal: AbortSignal
}

export type Command = {
  readonly help: string
  /** Returns the exit code. */
  run(words: readonly string[], world: World): Promise<number>
}

export const exitCode = { answered: 0, unanswered: 1, usage: 2, degraded: 3 } as const

/** The command line is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A request to end the program, with the message and exit code to use. */
export class Stop extends Error {
  override readonly name = 'Stop'
  readonly exitCode: number
  constructor(message: string, code: number) {
    super(message)
    this.exitCode = code
  }
}

type Options = NonNullable<ParseArgsConfig['options']>

/** Parses the arguments after the name of a command. */
export function parseWords<const Named extends Options>(words: readonly string[], options: Named) {
  try {
    return parseArgs({ args: joinNegative(words, options), options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(parseMessage(error, options), { cause: error })
  }
}

/** Joins `--count -1` to `--count=-1`: `parseArgs` takes `-1` for an option, and the command can say better what is wrong with it. */
function joinNegative(words: readonly string[], options: Options): string[] {
  const args: string[] = []
  for (const word of words) {
    const last = args.at(-1) ?? ''
    const isNegative = /^-[.\d]/.test(word) && last.startsWith('--') && options[last.slice(2)]?.type === 'string'
    if (isNegative) args[args.length - 1] = `${last}=${word}`
    else args.push(word)
  }
  return args
}

function parseMessage(error: unknown, options: Options): string {
  if (!(error instanceof Error)) return String(error)
  const [, unknown] = /Unknown option '(-[^']*)'/.exec(error.message) ?? []
  if (unknown === undefined) return error.message
  return `There is no option ${unknown}.${suggestion(
    unknown,
    Object.keys(options).map(name => `--${name}`),
  )}`
}
