#!/usr/bin/env node
import '../require-node.ts'
import { readFileSync } from 'node:fs'
import { UnbusyError } from '../errors.ts'
import { type Command, exitCode, Stop, UsageError, type World } from './command.ts'
import { suggestion } from '../suggestion.ts'
import { createTerminal } from './terminal.ts'

const help = `unbusy - DeepSeek is often busy; your service must not be.

  unbusy ask "..."   asks a chain of models and prints the answer
  unbusy demo        shows in ten seconds how a call is answered while DeepSeek is busy; needs no key and no network
  unbusy doctor      shows which keys and servers there are, whether they answer, and what is wrong
  unbusy serve       serves a chain on one port with an API like OpenAI's, for clients in any language
  unbusy watch       shows the status of a service in the terminal, every two seconds
  unbusy size        computes whether a model fits on your GPUs, how many calls it takes at once, and what it costs

  unbusy COMMAND --help shows the options.   unbusy --version prints the version.

Exit codes  0 done, 1 no target answered or the model does not fit, 2 wrong usage, 3 answered by --default, 130 Ctrl-C`

/** Commands are loaded on demand, so that `ask` does not have to load the servers of the demo. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  ask: async () => (await import('./ask.ts')).ask,
  demo: async () => (await import('./demo.ts')).demo,
  doctor: async () => (await import('./doctor.ts')).doctor,
  serve: async () => (await import('./serve.ts')).serve,
  watch: async () => (await import('./watch.ts')).watch,
  size: async () => (await import('./size.ts')).size,
}

const stopping = new AbortController()
const world: World = {
  stdin: process.stdin,
  stdout: createTerminal(process.stdout, process.env),
  stderr: createTerminal(process.stderr, process.env),
  signal: stopping.signal,
}

/** The first Ctrl-C stops the command and closes its connections, the second one kills the process as usual. */
stopOn('SIGINT', new Stop('Stopped by Ctrl-C.', 130))
stopOn('SIGTERM', new Stop('Stopped.', 143))
// `unbusy ask ... | head -1` closes the pipe early, which is not an error
for (const output of [process.stdout, process.stderr]) output.on('error', () => stopping.abort(new Stop('', exitCode.answered)))

process.exitCode = await main(process.argv.slice(2))

async function main([name, ...words]: readonly string[]): Promise<number> {
  try {
    if (name === '--version' || name === '-v') return print(versionOfPackage())
    if (name === '--help' || name === '-h' || name === 'help') return print(help)
    if (name === undefined) throw new UsageError(`The command is missing. Write one of ${Object.keys(commands).join(', ')}.`)
    const load = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (load === undefined) throw new UsageError(`There is no command '${name}'.${suggestion(name, Object.keys(commands))}`)
    const command = await load()
    return words.includes('--help') || words.includes('-h') ? print(command.help) : await command.run(words, world)
  } catch (error) {
    return codeOf(error)
  }
}

/** The listener is never removed: packages such as node-llama-cpp add a listener that ends the process if it is the only one. */
function stopOn(signal: NodeJS.Signals, stop: Stop): void {
  process.on(signal, function stopOrEnd() {
    if (!stopping.signal.aborted) return stopping.abort(stop)
    process.off(signal, stopOrEnd)
    process.kill(process.pid, signal)
  })
}

function print(text: string): number {
  world.stdout.line(text)
  return exitCode.answered
}

/** `package.json` is two folders above this file, in `src` as in `dist`. */
function versionOfPackage(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  return version
}

function codeOf(thrown: unknown): number {
  const error: unknown = stopping.signal.aborted ? stopping.signal.reason : thrown
  if (error instanceof Stop) {
    if (error.message !== '') world.stderr.line(error.message)
    return error.exitCode
  }
  if (error instanceof UsageError) {
    world.stderr.line(`unbusy: ${error.message}`)
    world.stderr.line('"unbusy --help" shows the commands and options.')
    return exitCode.usage
  }
  world.stderr.line(`unbusy: ${UnbusyError.isInstance(error) ? error.message : String(error)}`)
  return exitCode.unanswered
}
