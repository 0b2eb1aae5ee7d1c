/**
 * A service with lively traffic to be watched: three servers of `unbusy/testing`, one client, and `/metrics` and `/status` on `PORT`.
 *
 *   PORT    where /metrics and /status are (9464; 0 takes a free one)
 *   SCENE   calm: every day's noise. outage: everything is down from the tenth second on, for 100 s. all (default): one trouble after
 *           the other, and an outage of all targets after a minute and a half; begins again every five minutes
 *
 * SIGTERM and Ctrl-C end it.
 */
import { createServer } from 'node:http'
import { register } from 'prom-client'
import { createClient, deepseek, llama, openai } from 'unbusy'
import { prometheus } from 'unbusy/prometheus'
import { statusHandler } from 'unbusy/status'
import { answer, type Reply, startServer, status } from 'unbusy/testing'

const { PORT = '9464', SCENE = 'all' } = process.env

type Trouble = 'none' | 'busy' | 'slow' | 'limited' | 'down'
/** What is wrong from which second on: with DeepSeek, with OpenAI, and with the server of one's own. */
type Act = readonly [fromSecond: number, first: Trouble, second: Trouble, third: Trouble]

const scenes: Readonly<Record<string, readonly Act[]>> = {
  calm: [[0, 'none', 'none', 'none']],
  outage: [
    [0, 'none', 'none', 'none'],
    [10, 'down', 'down', 'down'],
    [110, 'none', 'none', 'none'],
  ],
  all: [
    [0, 'none', 'none', 'none'],
    [10, 'busy', 'none', 'none'],
    [30, 'busy', 'limited', 'none'],
    [45, 'none', 'none', 'none'],
    [60, 'slow', 'none', 'none'],
    [75, 'none', 'none', 'none'],
    [90, 'down', 'down', 'down'],
    [210, 'none', 'none', 'none'],
    [255, 'none', 'limited', 'none'],
    [275, 'none', 'none', 'none'],
  ],
}
const everySeconds = 300

const acts = scenes[SCENE]
if (acts === undefined) throw new TypeError(`SCENE must be one of ${Object.keys(scenes).join(', ')}, not ${SCENE}.`)

const startedAt = performance.now()
const chance = (share: number) => Math.random() < share

function troubleOf(place: 1 | 2 | 3): Trouble {
  const seconds = (performance.now() - startedAt) / 1_000
  const second = SCENE === 'all' ? seconds % everySeconds : seconds
  return acts?.findLast(([from]) => from <= second)?.[place] ?? 'none'
}

const words = 'Sunlight holds every colour, and the air scatters blue light far more than red.'.split(/(?<= )/)

function reply(place: 1 | 2 | 3): Reply {
  const usage = { inputTokens: 40 + Math.floor(Math.random() * 400), outputTokens: 15 + Math.floor(Math.random() * 40) }
  const good = answer(words, { usage, firstChunkAfterMs: 40 + Math.random() * 60, chunkEveryMs: 2 })
  const trouble = troubleOf(place)
  if (trouble === 'down') return { ...status(503), headersAfterMs: 20 }
  if (trouble === 'busy') return chance(0.8) ? { ...status(503), headersAfterMs: 30 } : good
  if (trouble === 'limited') return { ...status(429, undefined, { 'retry-after': '3' }), headersAfterMs: 10 }
  if (trouble === 'slow') return { ...good, firstChunkAfterMs: 1_500 + Math.random() * 2_500 }
  // the usual noise
  if (chance(0.01)) return { ...status(503), headersAfterMs: 30 }
  return chance(0.02) ? { ...good, firstChunkAfterMs: 600 } : good
}

const servers = [
  await startServer(() => reply(1), { format: 'deepseek' }),
  await startServer(() => reply(2), { format: 'openai' }),
  await startServer(() => reply(3), { format: 'llama' }),
] as const
const client = createClient({
  chain: [
    deepseek({ baseURL: servers[0].baseURL, apiKey: 'no-key-is-needed' }),
    openai({ baseURL: servers[1].baseURL, apiKey: 'no-key-is-needed' }),
    // what one machine can do at once
    { ...llama({ baseURL: servers[2].baseURL }), name: 'own', limits: { concurrency: 16 } },
  ],
  // in an outage calls wait before they fail; until then only the metrics of the targets show it
  timeout: { totalMs: 8_000 },
  telemetry: [prometheus()],
})

const show = statusHandler(client)
const server = createServer((request, response) => {
  const path = request.url?.split('?')[0]
  if (path === '/status') return show(request, response)
  if (path !== '/metrics') return response.writeHead(302, { location: '/status' }).end()
  return void register.metrics().then(
    text => response.writeHead(200, { 'content-type': register.contentType }).end(text),
    () => response.writeHead(500).end(),
  )
})
await new Promise<void>(resolve => server.listen(Number(PORT), resolve))
const address = server.address()
const port = typeof address === 'object' ? address?.port : PORT
console.log(`Scene ${SCENE}. Status http://127.0.0.1:${port}/status, metrics http://127.0.0.1:${port}/metrics. Ctrl-C ends it.`)

/** About eight calls a second, half of them streams; one in fifty callers leaves. */
const traffic = setInterval(() => {
  const prompt = 'Why is the sky blue?'
  const signal = chance(0.02) ? AbortSignal.timeout(30) : undefined
  const work = chance(0.5)
    ? client.generate({ prompt, signal, maxOutputTokens: 60 })
    : client.stream({ prompt, signal, maxOutputTokens: 60 }).then(async stream => stream.text())
  // failures are shown by the metrics
  work.catch(() => {})
}, 125)

async function end(): Promise<void> {
  clearInterval(traffic)
  server.close()
  server.closeAllConnections()
  await client.close()
  for (const each of servers) await each.close()
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end())
