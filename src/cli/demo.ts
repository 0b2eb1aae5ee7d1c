import type { EventListener } from '../contract-events.ts'
import { type GenerateResult, llama } from '../index.ts'
import { type Command, exitCode, parseWords, UsageError, type World } from './command.ts'
import { setStage, type Stage } from './demo-servers.ts'
import { embeddedHelp, embeddedTarget } from './embedded-target.ts'
import { pause, serveStatus } from './serve-status.ts'
import { duration, withoutControls } from './terminal.ts'
import { drawTimeLine, type TimeLine } from './time-line.ts'

const help = `unbusy demo - shows how a call is answered while DeepSeek is busy. It needs no key and no network.

It starts three servers on this machine, each with the real format of its service: a DeepSeek that queues and then
returns 503, an OpenAI that returns 429, and a llama that answers. Every number that it prints is measured in that run.

  ${embeddedHelp}
  --watch           serves the status page, prints its address, and makes calls until Ctrl-C
  UNBUSY_LLAMA_URL=http://127.0.0.1:8080/v1   uses a real llama.cpp server as the last target
Exit codes  0 done, 1 no answer came, 2 wrong usage, 130 Ctrl-C`

const question = 'Why is the sky blue?'
const atOnce = 20

export const demo: Command = {
  help,
  async run(words, world) {
    const { positionals, values } = parseWords(words, { embedded: { type: 'string' }, watch: { type: 'boolean' } })
    if (positionals.length > 0) throw new UsageError('demo takes no arguments.')
    let listener: EventListener = () => {}
    const llamaURL = process.env['UNBUSY_LLAMA_URL']
    const model = await embeddedTarget(values.embedded, { parallel: 2 })
    const real = llamaURL === undefined || llamaURL === '' ? undefined : llama({ baseURL: llamaURL })
    await using stage = await setStage(event => listener(event), model ?? real)
    const scene: Scene = { stage, world, listen: next => void (listener = next) }
    try {
      introduce(
        scene,
        model === undefined ? `llama    ${llamaURL}  is a real server` : `embedded ${model.model}  runs in this process`,
      )
      if (values.watch === true) return await watchedScenes(scene)
      await generateScene(scene)
      await streamScene(scene)
      await crowdScene(scene)
      return exitCode.answered
    } catch (error) {
      throw world.signal.aborted ? world.signal.reason : error
    }
  },
}

/** Runs the scenes with a status page, then makes a call now and then, so that the page shows activity. */
async function watchedScenes(scene: Scene): Promise<number> {
  const { stage, world } = scene
  const page = await serveStatus(stage.client)
  try {
    world.stdout.line(`  The status page: ${page.url}   (Ctrl-C stops it)`)
    await generateScene(scene)
    await streamScene(scene)
    await crowdScene(scene)
    for (;;) {
      await stage.client.generate({ prompt: question, maxOutputTokens: 16, signal: world.signal })
      await pause(500, world.signal)
    }
  } finally {
    page.close()
  }
}

type Scene = { readonly stage: Stage; readonly world: World; listen(listener: EventListener): void }

/** @param real describes the last target if it is a real server */
function introduce({ stage, world: { stdout } }: Scene, real: string): void {
  const last = stage.llama === undefined ? real : `llama    ${stage.llama.url}  answers`
  const name = last.split(' ')[0] ?? ''
  const { paint } = stdout
  stdout.line()
  stdout.line(`  ${paint('strong', `createClient({ chain: [deepseek(), openai(), ${name}()] })`)}`)
  stdout.line()
  stdout.line(paint('quiet', `  deepseek ${stage.deepseek.url}  queues, then 503`))
  stdout.line(paint('quiet', `  openai   ${stage.openai.url}  429, retry after 20 s`))
  stdout.line(paint('quiet', `  ${last}`))
}

/** The first call runs into all failures. */
async function generateScene({ stage, world, listen }: Scene): Promise<void> {
  const { stdout, signal } = world
  title(world, '1', `client.generate('${question}')`)
  const timeLine = drawTimeLine(stdout, { msPerCell: 50, until: 'answer' })
  const result = await drawn(timeLine, listen, () => stage.client.generate({ prompt: question, maxOutputTokens: 80, signal }))
  stdout.line()
  stdout.line(`  ${stdout.paint('strong', wrapped(result.text, stdout.columns))}`)
  stdout.line()
  stdout.line(stdout.paint('quiet', `  ${costInTime(result)}`))
}

/** The second call skips the targets that failed in the first one, and is streamed. */
async function streamScene({ stage, world, listen }: Scene): Promise<void> {
  const { stdout, signal } = world
  title(world, '2', `client.stream('${question}')`)
  const timeLine = drawTimeLine(stdout, { msPerCell: 50, until: 'first-content' })
  const startedAt = performance.now()
  const stream = await drawn(timeLine, listen, () => stage.client.stream({ prompt: question, maxOutputTokens: 80, signal }))
  const firstMs = performance.now() - startedAt
  stdout.write('\n  ')
  const width = Math.min(stdout.columns, 100) - 4
  let column = 0
  let isBetweenWords = false
  for await (const event of stream) {
    if (event.type !== 'text-delta') continue
    const text = withoutControls(event.text).replaceAll('\n', ' ')
    const isFull = column + text.length > width && (isBetweenWords || text.startsWith(' '))
    stdout.write(`${isFull ? '\n  ' : ''}${stdout.paint('strong', isFull ? text.trimStart() : text)}`)
    column = (isFull ? 0 : column) + text.length
    isBetweenWords = text.endsWith(' ')
  }
  stdout.line('\n')
  stdout.line(
    stdout.paint(
      'quiet',
      `  First token after ${duration(firstMs)}, the whole answer after ${duration(performance.now() - startedAt)}.`,
    ),
  )
}

/** Many parallel calls: none of them waits for a target that is down. */
async function crowdScene({ stage, world }: Scene): Promise<void> {
  const { stdout, signal } = world
  title(world, '3', `${atOnce} calls at once, while the outage goes on`)
  const before = { deepseek: stage.deepseek.requests.length, openai: stage.openai.requests.length }
  const calls = Array.from({ length: atOnce }, async () => {
    const startedAt = performance.now()
    const { provider } = await stage.client.generate({ prompt: question, maxOutputTokens: 16, signal })
    return { provider, ms: performance.now() - startedAt }
  })
  const answers = await Promise.all(calls)
  const slowest = Math.max(...answers.map(({ ms }) => ms))
  const who = [...new Set(answers.map(({ provider }) => provider))].join(', ')
  const { paint } = stdout
  stdout.line(`  ${paint('good', `${answers.length} of ${atOnce} answered`)} by ${who}, the slowest in ${duration(slowest)}`)
  stdout.line(
    `  deepseek was asked ${times(stage.deepseek.requests.length - before.deepseek)}${paint('quiet', standing(stage, 0))}`,
  )
  stdout.line(`  openai   was asked ${times(stage.openai.requests.length - before.openai)}${paint('quiet', standing(stage, 1))}`)
  stdout.line()
}

function title({ stdout }: World, number: string, text: string): void {
  stdout.line()
  stdout.line(`${stdout.paint('quiet', number)} ${stdout.paint('strong', text)}`)
  stdout.line()
}

async function drawn<Result>(
  timeLine: TimeLine,
  listen: (listener: EventListener) => void,
  work: () => Promise<Result>,
): Promise<Result> {
  listen(timeLine.onEvent)
  try {
    return await work()
  } finally {
    listen(() => {})
    timeLine.close()
  }
}

/** The time that failed targets cost this call before it was answered. */
function costInTime({ attempts, provider }: GenerateResult): string {
  const failed = attempts.filter(({ outcome }) => outcome === 'failed')
  const lostMs = failed.reduce((sum, { durationMs }) => sum + durationMs, 0)
  const waitedMs = attempts.reduce((sum, { waitMs }) => sum + waitMs, 0)
  const ownMs = attempts.find(({ outcome }) => outcome === 'answered')?.durationMs ?? 0
  const lost = `${failed.length} failed requests took ${duration(lostMs)}, waits ${duration(waitedMs)}`
  return `${lost}, the answer of ${provider} ${duration(ownMs)}. The caller saw one promise and one answer.`
}

function standing({ client }: Stage, targetIndex: number): string {
  const { state, reason, untilMs } = client.health()[targetIndex] ?? {}
  if (state === undefined || state === 'closed') return ''
  return ` (${reason}: not asked${untilMs === undefined ? '' : ` for another ${duration(untilMs)}`})`
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}

/** Wraps a text into lines that fit the terminal. */
function wrapped(text: string, columns: number): string {
  const width = Math.min(columns, 100) - 4
  const lines = ['']
  for (const word of withoutControls(text).split(/\s+/)) {
    const line = lines.at(-1) ?? ''
    if (line !== '' && line.length + word.length + 1 > width) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines.join('\n  ')
}
