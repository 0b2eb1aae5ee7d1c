import { callback, type Check, checkOptions, isRecord, kindOf, oneOf, positiveCount } from './check.ts'
import { checkInput } from './check-input.ts'
import { tools } from './check-turns.ts'
import type { GenerateInput } from './options.ts'

/** Throws for invalid arguments of `runTools()`, before anything is sent, and says what to write instead. */
export function checkRunTools(client: unknown, input: unknown, options: unknown): void {
  if (!isRecord(client) || typeof client['generate'] !== 'function')
    throw new TypeError(`runTools: the first argument must be a client from createClient(), not ${kindOf(client)}.`)
  if (isRecord(input) && ('tools' in input || 'toolChoice' in input))
    throw new TypeError(
      "runTools: tools belong in the third argument: runTools(client, 'Hi', { tools }). There is no toolChoice.",
    )
  checkInput(input as GenerateInput)
  if (!isRecord(options)) throw new TypeError(`runTools: options must be an object like ${example}, not ${kindOf(options)}.`)
  checkOptions(options, { tools: executable, maxSteps: positiveCount, onToolError, onStep: callback }, 'runTools')
  if (options['tools'] === undefined) throw new TypeError(`runTools: tools are missing. Write ${example}.`)
}

const example = '{ tools: { weather: { inputSchema, execute } } }'
const onToolError = oneOf('tell', 'throw')

const executable: Check = (value, name) => {
  tools(value, name)
  for (const [toolName, tool] of Object.entries(value as Readonly<Record<string, { readonly execute?: unknown }>>)) {
    if (typeof tool.execute === 'function') continue
    const what = `${name}.${toolName} has no function execute`
    throw new TypeError(
      `${what}. Write { inputSchema, execute: input => ... }, or use client.generate({ tools }) and execute the calls yourself.`,
    )
  }
}
