#!/usr/bin/env node
import '../require-node.ts'
import { readFileSync } from 'node:fs'
import { UnbusyError } from '../errors.ts'
import { type Command, exitCode, Stop, UsageError, type World } from './command.ts'
import { suggestion } from '../check.ts'
import { createTerminal } from './terminal.ts'

const help = `unbusy - DeepSeek is often busy; your service must not be.

  unbusy ask "..."   asks the first model that answers
  unbusy demo        shows in ten seconds how a call survives a busy DeepSeek; needs no key and no network
  unbusy doctor      tells which keys and servers are there, whether they answer, and what is wrong

  unbusy COMMAND --help tells more.   unbusy --version prints the version.

Exit codes  0 done, 1 nobody answered, 2 wrong usage, 3 answered by the default, 130 Ctrl-C`

/** Each is loaded when it is called: the demo brings its servers along, the answer to a question does not wait for them. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  ask: async () => (await import('./ask.ts')).ask,
  demo: async () => (await import('./demo.ts')).demo,
  doctor: async () => (await import('./doctor.ts')).doctor,
}

const stopping = new AbortController()
const world: World = {
  stdin: process.stdin,
  stdout: createTerminal(process.stdout, process.env),
  stderr: createTerminal(process.stderr, process.env),
  signal: stopping.signal,
}

/** The first Ctrl-C ends what runs and closes what is open, the second one does what it does everywhere. */
process.once('SIGINT', () => stopping.abort(new Stop('Stopped by Ctrl-C.', 130)))
process.once('SIGTERM', () => stopping.abort(new Stop('Stopped.', 143)))
// `unbusy ask ... | head -1`: nobody reads on, which is no trouble
for (const output of [process.stdout, process.stderr]) output.on('error', () => stopping.abort(new Stop('', exitCode.answered)))

process.exitCode = await main(process.argv.slice(2))

async function main([name, ...words]: readonly string[]): Promise<number> {
  try {
    if (name === '--version' || name === '-v') return print(versionOfPackage())
    if (name === '--help' || name === '-h' || name === 'help') return print(help)
    if (name === undefined) throw new UsageError(`Which command? ${Object.keys(commands).join(', ')}.`)
    const load = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (load === undefined) throw new UsageError(`There is no command '${name}'.${suggestion(name, Object.keys(commands))}`)
    const command = await load()
    return words.includes('--help') || words.includes('-h') ? print(command.help) : await command.run(words, world)
  } catch (error) {
    return codeOf(error)
  }
}

function print(text: string): number {
  world.stdout.line(text)
  return exitCode.answered
}

/** Read here because this file is one folder below the package's root, in `src` as in `dist`. */
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
    world.stderr.line('"unbusy --help" tells how to use it.')
    return exitCode.usage
  }
  world.stderr.line(`unbusy: ${UnbusyError.isInstance(error) ? error.message : String(error)}`)
  return exitCode.unanswered
}
