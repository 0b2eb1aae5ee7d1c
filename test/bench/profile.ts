/** Where the time of a call goes, or its memory. `node test/bench/profile.ts --help`; see README.md. */

import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { startRunner, startServer } from './children.ts'
import { crowdJob } from './crowd-job.ts'
import { sourceEntry } from './entry.ts'
import { installPeers } from '../peers/groups.ts'
import { report, tree } from './profile-report.ts'
import { scenes, workOf } from './scenes.ts'
import { align } from './table.ts'
import { answerText } from './wire.ts'
import type { Runner } from './children.ts'
import type { ClientName, Job, Work } from './jobs.ts'
import type { CpuProfile, HeapProfile, Report, Share } from './profile-report.ts'
import type { Scene } from './scenes.ts'

const usage = `node test/bench/profile.ts [call|chunk|each|stream|fallback|crowd] [options]

  call        generate() of 27 tokens that come at once (the default); JSON for the peers
  stream      stream() of 27 tokens that come at once
  chunk       stream() of 420 tokens that come at once
  each        stream() of 420 tokens, one per write
  fallback    generate() whose first target answers 503
  crowd       what 1,000 slow streams hold, after a collection

  --generate            chunk and each through generate() instead of stream()
  --heap                memory asked for instead of time
  --client NAME         undici, openai, ai or unbusy (the default)
  --seconds N           3
  --concurrency N       16
  --top N               30
  --tree PERCENT        who calls whom, down to this share, instead of tables
  --entry FILE          another copy's src/index.ts
  --save FILE           the profile itself, for a browser's developer tools (.cpuprofile, .heapprofile)
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    generate: { type: 'boolean', default: false },
    heap: { type: 'boolean', default: false },
    client: { type: 'string', default: 'unbusy' },
    seconds: { type: 'string', default: '3' },
    concurrency: { type: 'string', default: '16' },
    top: { type: 'string', default: '30' },
    entry: { type: 'string' },
    save: { type: 'string' },
    tree: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const workFor = (scene: Scene, origin: string): Work => {
  const work = workOf(scene, { origin, json: values.client !== 'unbusy' })
  return values.generate && work.kind === 'stream' ? { ...work, kind: 'call' } : work
}

/** A profile, and what one call of it cost: microseconds, or undefined where bytes are counted. */
type Profiled = { readonly profile: unknown; readonly calls: number; readonly usPerCall: number | undefined }

const profileLoad = async (runner: Runner, scene: Scene, origin: string): Promise<Profiled> => {
  const load = { work: workFor(scene, origin), concurrency: Number(values.concurrency), expected: answerText(scene.tokens) }
  const warmUp: Extract<Job, { type: 'load' }> = { type: 'load', ...load, forMs: 10_000 }
  await runner.run<'load'>(warmUp)
  const kind = values.heap ? 'heap' : 'cpu'
  const job: Extract<Job, { type: 'profile' }> = { type: 'profile', kind, ...load, forMs: Number(values.seconds) * 1000 }
  const { profile, calls, cpuUsPerCall } = await runner.run<'profile'>(job)
  return { profile, calls, usPerCall: values.heap ? undefined : cpuUsPerCall }
}

const crowdStreams = 1_000

const profileCrowd = async (runner: Runner, origin: string): Promise<Profiled> => {
  await runner.run<'crowd'>(crowdJob(origin, 50))
  const { profile, flowing } = await runner.run<'crowd'>({ ...crowdJob(origin, crowdStreams), profile: true })
  return { profile, calls: flowing, usPerCall: undefined }
}

const print = (found: Report, { calls, usPerCall }: Profiled): void => {
  const perCall = usPerCall ?? found.sum / calls
  const unit = usPerCall === undefined ? 'bytes' : 'us'
  const percent = (part: number): string => `${((part / found.sum) * 100).toFixed(1)} %`
  const amount = (part: number): string => `${((part / found.sum) * perCall).toFixed(usPerCall === undefined ? 0 : 2)} ${unit}`
  const top = Number(values.top)
  const table = (title: string, shares: readonly Share[], withTotal: boolean): void => {
    const rows = shares
      .filter(({ self }) => self > 0)
      .slice(0, top)
      .map(({ name, self, total }) => [name, percent(self), amount(self)].concat(withTotal ? [amount(total)] : []))
    if (rows.length > 0) console.log(`\n${align([[title, 'self', 'per call', ...(withTotal ? ['with callees'] : [])], ...rows])}`)
  }
  console.log(`${values.client}: ${calls} calls, ${perCall.toFixed(1)} ${unit} of each`)
  table('by room', found.rooms, false)
  table('by function', found.functions, true)
  const ours = found.functions.filter(({ name }) => /^\S+ {2}\S*(?:src|dist)\//.test(name) && !name.includes('node_modules'))
  const heaviest = ours.toSorted((a, b) => b.total - a.total)
  table('our functions by what they and their callees take', heaviest, true)
  table('our lines', found.lines, false)
}

const main = async (): Promise<void> => {
  const [name = 'call'] = positionals
  const scene = scenes[name]
  if (values.help || (scene === undefined && name !== 'crowd')) {
    console.log(usage)
    return
  }
  if (values.client === 'openai' || values.client === 'ai') await installPeers('bench')
  const server = await startServer()
  // the sources themselves, types stripped in place, so that every line number is that of the file
  const entry = values.entry === undefined ? sourceEntry.href : pathToFileURL(values.entry).href
  const runner = await startRunner(values.client as ClientName, { entry })
  try {
    const result =
      scene === undefined ? await profileCrowd(runner, server.origin) : await profileLoad(runner, scene, server.origin)
    if (values.save !== undefined) writeFileSync(values.save, JSON.stringify(result.profile))
    const profile = result.profile as CpuProfile | HeapProfile
    if (values.tree === undefined) print(report(profile), result)
    else console.log(tree(profile, Number(values.tree)))
  } finally {
    runner.stop()
    server.stop()
  }
}

await main()
