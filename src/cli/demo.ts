import type { EventListener } from '../contract.ts'
import type { GenerateResult } from '../index.ts'
import { type Command, exitCode, parseWords, UsageError, type World } from './command.ts'
import { setStage, type Stage } from './demo-servers.ts'
import { duration, withoutControls } from './terminal.ts'
import { drawTimeLine, type TimeLine } from './time-line.ts'

const help = `unbusy demo - shows how a call survives a busy DeepSeek. It needs no key and no network.

It starts three servers on this machine, each with its service's real format: a DeepSeek that queues and then
says 503, an OpenAI that says 429, a llama that answers. Every number it prints was measured in that run.

  UNBUSY_LLAMA_URL=http://127.0.0.1:8080/v1   takes a real llama.cpp server for the last one
Exit codes  0 done, 1 no answer came, 2 wrong usage, 130 Ctrl-C`

const question = 'Why is the sky blue?'
const atOnce = 20

export const demo: Command = {
  help,
  async run(words, world) {
    const { positionals } = parseWords(words, {})
    if (positionals.length > 0) throw new UsageError('demo takes no words.')
    let listener: EventListener = () => {}
    const llamaURL = process.env['UNBUSY_LLAMA_URL']
    await using stage = await setStage(event => listener(event), llamaURL === '' ? undefined : llamaURL)
    const scene: Scene = { stage, world, listen: next => void (listener = next) }
    try {
      introduce(scene, llamaURL)
      await generateScene(scene)
      await streamScene(scene)
      await crowdScene(scene)
      return exitCode.answered
    } catch (error) {
      throw world.signal.aborted ? world.signal.reason : error
    }
  },
}

type Scene = { readonly stage: Stage; readonly world: World; listen(listener: EventListener): void }

function introduce({ stage, world: { stdout } }: Scene, llamaURL: string | undefined): void {
  const last = stage.llama === undefined ? `${llamaURL}  is real` : `${stage.llama.url}  answers`
  const { paint } = stdout
  stdout.line()
  stdout.line(`  ${paint('strong', 'createClient({ chain: [deepseek(), openai(), llama()] })')}`)
  stdout.line()
  stdout.line(paint('quiet', `  deepseek ${stage.deepseek.url}  queues, then 503`))
  stdout.line(paint('quiet', `  openai   ${stage.openai.url}  429, come back in 20 s`))
  stdout.line(paint('quiet', `  llama    ${last}`))
}

/** The first call meets all of it. */
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

/** The second call profits from what the first has met, and is read as it comes. */
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
      `  First token after ${duration(firstMs)}, all of it after ${duration(performance.now() - startedAt)}.`,
    ),
  )
}

/** Many calls at once: by now nobody waits for who is down. */
async function crowdScene({ stage, world }: Scene): Promise<void> {
  const { stdout, signal } = world
  title(world, '3', `${atOnce} calls at once, the outage goes on`)
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

/** What the others cost this call, before somebody answered. */
function costInTime({ attempts, provider }: GenerateResult): string {
  const failed = attempts.filter(({ outcome }) => outcome === 'failed')
  const lostMs = failed.reduce((sum, { durationMs }) => sum + durationMs, 0)
  const waitedMs = attempts.reduce((sum, { waitMs }) => sum + waitMs, 0)
  const ownMs = attempts.find(({ outcome }) => outcome === 'answered')?.durationMs ?? 0
  const lost = `${failed.length} failed requests cost ${duration(lostMs)}, waiting ${duration(waitedMs)}`
  return `${lost}, ${provider}'s answer ${duration(ownMs)}. The caller saw one promise and one answer.`
}

function standing({ client }: Stage, targetIndex: number): string {
  const { state, reason, untilMs } = client.health()[targetIndex] ?? {}
  if (state === undefined || state === 'closed') return ''
  return ` (${reason}: left alone${untilMs === undefined ? '' : ` for ${duration(untilMs)} more`})`
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}

/** Lines of a text that do not run over the edge. */
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
