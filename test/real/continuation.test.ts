import { createServer, request } from 'node:http'
import { createClient, llama } from 'unbusy'
import { expect, onTestFinished, test } from 'vitest'
import { baseURL, llamaRunning } from '../helpers/llama-running.ts'

const skip = { skip: llamaRunning.isMissing }
const { suffix } = llamaRunning

const tokens = 24
const input = { prompt: 'Tell me a story.', temperature: 0, seed: 1, maxOutputTokens: tokens, extraBody: { cache_prompt: false } }

test(
  `cut after any token and gone on with, llama.cpp's answer is the one that was not cut, character for character (R32, R134)${suffix}`,
  skip,
  async () => {
    const uncut = await whole(baseURL)
    expect(uncut.length).toBeGreaterThan(tokens / 2)
    const results: object[] = []
    for (let count = 1; count < tokens; count += 1) {
      const proxy = await cutAfter(count)
      const client = createClient({
        chain: [llama({ baseURL: proxy.baseURL })],
        ...{ retry: { baseDelayMs: 1 }, afterFirstToken: 'continue' as const },
      })
      onTestFinished(async () => client.close())
      const stream = await client.stream(input)
      let shown = ''
      const seams: string[] = []
      for await (const event of stream) {
        if (event.type === 'text-delta') shown += event.text
        if (event.type === 'continue' || event.type === 'restart') seams.push(event.type)
      }
      const { finishReason } = await stream.result()
      results.push({ count, shown, seams, finishReason, requests: proxy.requests() })
    }
    const expected = { shown: uncut, seams: ['continue'], finishReason: 'length', requests: 2 }
    expect(results).toEqual(results.map((_, index) => ({ count: index + 1, ...expected })))
  },
)

async function whole(url: string): Promise<string> {
  const client = createClient({ chain: [llama({ baseURL: url })] })
  onTestFinished(async () => client.close())
  return (await client.generate(input)).text
}

/** Stands before the server, and closes the first connection after so many deltas. */
async function cutAfter(count: number): Promise<{ readonly baseURL: string; requests(): number }> {
  let requests = 0
  const { port, hostname, pathname } = new URL(baseURL)
  const server = createServer((incoming, outgoing) => {
    requests += 1
    const mayCut = requests === 1
    const { url: path, method, headers } = incoming
    const onward = request({ host: hostname, port, path, method, headers, agent: false }, answer => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      let deltas = 0
      let rest = ''
      answer.on('data', (bytes: Buffer) => {
        rest += bytes.toString('latin1')
        for (let end = rest.indexOf('\n\n'); end !== -1 && !outgoing.destroyed; end = rest.indexOf('\n\n')) {
          const event = rest.slice(0, end + 2)
          rest = rest.slice(end + 2)
          outgoing.write(event, 'latin1')
          if (event.includes('"content":"')) deltas += 1
          if (!mayCut || deltas < count) continue
          outgoing.socket?.destroySoon()
          onward.destroy()
          return
        }
      })
      answer.on('end', () => void outgoing.end())
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const local = typeof address === 'object' && address !== null ? address.port : 0
  return { baseURL: `http://127.0.0.1:${local}${pathname}`, requests: () => requests }
}
