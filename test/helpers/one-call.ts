/**
 * Prints which files of `src` one `generate()` enters whose first target answers, by V8's precise coverage: `[{ file, functions }]`. It
 * is a process of its own, so that no test runner changes the sources and nothing else calls them meanwhile.
 *
 *     node --conditions=unbusy-source test/helpers/one-call.ts http://127.0.0.1:8080/v1 text
 *
 * The last word is the form of the input: `text`, or `options` for an object with a conversation and a few common options.
 */
import { Session } from 'node:inspector/promises'
import { createClient, deepseek, llama, openai } from 'unbusy'

export type EnteredFile = { readonly file: string; readonly functions: readonly string[] }

const src = new URL('../../src/', import.meta.url).href
const [, , baseURL = '', form = 'text'] = process.argv
const question = 'Why is the sky blue?'
const input = form === 'text' ? question : { messages: [{ role: 'user', content: question } as const], temperature: 0.5 }

await using client = createClient({
  chain: [deepseek({ apiKey: 'key', baseURL }), openai({ apiKey: 'key', baseURL }), llama({ baseURL })],
})
// what happens at the first calls only (a connection, the shape of an answer) is no part of a call
for (let call = 0; call < 2; call += 1) await client.generate(input)

const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
await client.generate(input)
const { result } = await session.post('Profiler.takePreciseCoverage')
session.disconnect()

const entered = result
  .filter(({ url }) => url.startsWith(src))
  .map(({ url, functions }): EnteredFile => {
    // the body of a module is a function too, the one that begins where the file does
    const ran = functions.filter(({ ranges: [range] }) => range !== undefined && range.count > 0 && range.startOffset > 0)
    return { file: url.slice(src.length), functions: ran.map(({ functionName }) => functionName) }
  })
  .filter(({ functions }) => functions.length > 0)
console.log(JSON.stringify(entered))
