import { PassThrough } from 'node:stream'
import { createTerminal, type Output, type Terminal } from '../../src/cli/terminal.ts'
import type { World } from '../../src/cli/command.ts'

export type Screen = Terminal & { readonly text: () => string }

/** A terminal that remembers what was written. */
export function screen(
  options: { isTTY?: boolean; columns?: number; rows?: number } = {},
  environment: NodeJS.ProcessEnv = {},
): Screen {
  const stream = new PassThrough()
  let text = ''
  stream.on('data', data => (text += String(data)))
  const output: Output = Object.assign(stream as unknown as Output, options)
  const terminal = createTerminal(output, environment)
  return Object.create(terminal, { text: { value: () => text } }) as Screen
}

export function world(): World & { readonly stdout: Screen; readonly stderr: Screen } {
  const stdin = Object.assign(new PassThrough(), { isTTY: true }) as unknown as NodeJS.ReadStream
  return { stdin, stdout: screen(), stderr: screen(), signal: new AbortController().signal }
}
