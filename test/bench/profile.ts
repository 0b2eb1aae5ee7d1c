/** Where the time of a call goes, or its memory. `node test/bench/profile.ts --help`; see README.md. */

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { startRunner, startServer } from './children.ts'
import { sourceEntry } from './entry.ts'
import { installPeers } from './peers-door.ts'
import { report } from './profile-report.ts'
import { align } from './table.ts'
import { answerText } from './wire.ts'
import type { ClientName, Job, ProfileKind, ProfileResult, Work } from './jobs.ts'
import type { CpuProfile, HeapProfile, Report, Share } from './profile-report.ts'

const usage = `node test/bench/profile.ts [call|chunk|each|stream|fallback] [options]

  call        generate() of 27 tokens that come at once (the default); JSON for the peers
  stream      stream() of 27 tokens that come at once
  chunk       stream() of 420 tokens that come at once
  each        stream() of 420 tokens, one per write
  fallback    generate() whose first target answers 503

  --generate            chunk and each through generate() instead of stream()
  --heap                memory asked for instead of time
  --client NAME         undici, openai, ai or unbusy (the default)
  --seconds N           3
  --concurrency N       16
  --top N               30
  --save FILE           the profile itself, for a browser's developer tools (.cpuprofile, .heapprofile)
`

type Scene = { readonly tokens: number; readonly pace: string; readonly kind: Work['kind'] }

const scenes: { readonly [name: string]: Scene } = {
  call: { tokens: 27, pace: 'whole', kind: 'call' },
  stream: { tokens: 27, pace: 'whole', kind: 'stream' },
  chunk: { tokens: 420, pace: 'whole', kind: 'stream' },
  each: { tokens: 420, pace: 'each', kind: 'stream' },
  fallback: { tokens: 27, pace: 'whole', kind: 'fallback' },
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    generate: { type: 'boolean', default: false },
    heap: { type: 'boolean', default: false },
    client: { type: 'string', default: 'unbusy' },
    seconds: { type: 'string', default: '3' },
    concurrency: { type: 'string', default: '16' },
    top: { type: 'string', default: '30' },
    save: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const workOf = ({ tokens, pace, kind }: Scene, origin: string): Work => {
  const json = values.client !== 'unbusy' && kind !== 'stream'
  const url = json ? `${origin}/json` : `${origin}/stream/${tokens}/${pace}`
  if (kind === 'fallback') return { kind, busyUrl: `${origin}/busy`, url }
  return { kind: values.generate ? 'call' : kind, url }
}

/** The sources themselves, types stripped in place, so that every line number is that of the file. */
const profile = async (scene: Scene, kind: ProfileKind): Promise<ProfileResult> => {
  const server = await startServer()
  const runner = await startRunner(values.client as ClientName, { entry: sourceEntry.href })
  try {
    const load = {
      work: workOf(scene, server.origin),
      concurrency: Number(values.concurrency),
      expected: answerText(scene.tokens),
    }
    const warmUp: Extract<Job, { type: 'load' }> = { type: 'load', ...load, forMs: 2_000 }
    await runner.run<'load'>(warmUp)
    const job: Extract<Job, { type: 'profile' }> = { type: 'profile', kind, ...load, forMs: Number(values.seconds) * 1000 }
    return await runner.run<'profile'>(job)
  } finally {
    runner.stop()
    server.stop()
  }
}

const print = (found: Report, kind: ProfileKind, result: ProfileResult): void => {
  const perCall = kind === 'cpu' ? result.cpuUsPerCall : found.sum / result.calls
  const unit = kind === 'cpu' ? 'us' : 'bytes'
  const percent = (part: number): string => `${((part / found.sum) * 100).toFixed(1)} %`
  const amount = (part: number): string => `${((part / found.sum) * perCall).toFixed(kind === 'cpu' ? 2 : 0)} ${unit}`
  const top = Number(values.top)
  const table = (title: string, shares: readonly Share[], withTotal: boolean): void => {
    const rows = shares
      .filter(({ self }) => self > 0)
      .slice(0, top)
      .map(({ name, self, total }) => [name, percent(self), amount(self)].concat(withTotal ? [amount(total)] : []))
    if (rows.length > 0) console.log(`\n${align([[title, 'self', 'per call', ...(withTotal ? ['with callees'] : [])], ...rows])}`)
  }
  console.log(`${values.client}: ${result.calls} calls, ${perCall.toFixed(1)} ${unit} of each`)
  table('by room', found.rooms, false)
  table('by function', found.functions, true)
  const heaviest = found.functions.filter(({ name }) => /^\S+ {2}(?:src|dist)\//.test(name)).toSorted((a, b) => b.total - a.total)
  table('our functions by what they and their callees take', heaviest, true)
  table('our lines', found.lines, false)
}

const main = async (): Promise<void> => {
  const scene = scenes[positionals[0] ?? 'call']
  if (values.help || scene === undefined) {
    console.log(usage)
    return
  }
  if (values.client === 'openai' || values.client === 'ai') await installPeers()
  const kind = values.heap ? 'heap' : 'cpu'
  const result = await profile(scene, kind)
  if (values.save !== undefined) writeFileSync(values.save, JSON.stringify(result.profile))
  print(report(result.profile as CpuProfile | HeapProfile), kind, result)
}

await main()
