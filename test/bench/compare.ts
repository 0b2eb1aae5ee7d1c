/** Two versions of unbusy side by side, interleaved: is the change worth it? `node test/bench/compare.ts --help`; see README.md. */

import { parseArgs } from 'node:util'
import { pathToFileURL } from 'node:url'
import { startRunner, startServer } from './children.ts'
import { sourceEntry } from './entry.ts'
import { scenes, workOf } from './scenes.ts'
import { lowerQuartile } from './statistics.ts'
import { align } from './table.ts'
import { answerText } from './wire.ts'
import type { Runner } from './children.ts'
import type { Job } from './jobs.ts'

const usage = `node test/bench/compare.ts OTHER/src/index.ts [HERE/src/index.ts] [options]

  OTHER is a copy of this repository, for example made by "git worktree add". Beside it runs undici as the 1x.
  Lower quartiles: what others do on the machine can only make a sample dearer. Compare a copy with itself to see what is noise.

  --scenes a,b      ${Object.keys(scenes).join(', ')} (all of them)
  --rounds N        40
  --sample-ms N     50
  --concurrency N   16
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scenes: { type: 'string', default: Object.keys(scenes).join(',') },
    rounds: { type: 'string', default: '40' },
    'sample-ms': { type: 'string', default: '50' },
    concurrency: { type: 'string', default: '16' },
    help: { type: 'boolean', default: false },
  },
})

const warmUpMs = 10_000

type Side = { readonly name: string; readonly runner: Runner; readonly json: boolean; readonly samples: number[] }

const cpuOf = async ({ runner, json }: Side, name: string, origin: string, forMs: number): Promise<number> => {
  const scene = scenes[name]
  if (scene === undefined) throw new TypeError(`There is no scene "${name}".`)
  const work = workOf(scene, { origin, json })
  const expected = answerText(json && scene.kind !== 'stream' ? 27 : scene.tokens)
  const job: Extract<Job, { type: 'load' }> = {
    type: 'load',
    work,
    concurrency: Number(values.concurrency),
    forMs,
    expected,
  }
  return (await runner.run<'load'>(job)).cpuUsPerCall
}

const compare = async (sides: readonly Side[], name: string, origin: string): Promise<readonly string[]> => {
  for (const side of sides) {
    side.samples.length = 0
    await cpuOf(side, name, origin, warmUpMs)
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const side of sides) side.samples.push(await cpuOf(side, name, origin, Number(values['sample-ms'])))
  }
  const costs = sides.map(({ samples }) => lowerQuartile(samples))
  const [base = Number.NaN, here = Number.NaN, other = Number.NaN] = costs
  const ratios = [here / base, other / base, other / here]
  return [name, ...costs.map(cost => `${cost.toFixed(1)} us`), ...ratios.map(ratio => `${ratio.toFixed(3)}x`)]
}

const main = async (): Promise<void> => {
  const [otherPath, herePath] = positionals
  if (values.help || otherPath === undefined) {
    console.log(usage)
    return
  }
  const server = await startServer()
  const entries = {
    undici: sourceEntry.href,
    here: herePath === undefined ? sourceEntry.href : pathToFileURL(herePath).href,
    other: pathToFileURL(otherPath).href,
  }
  const sides: Side[] = []
  try {
    for (const [name, entry] of Object.entries(entries)) {
      const runner = await startRunner(name === 'undici' ? 'undici' : 'unbusy', { entry })
      sides.push({ name, runner, json: name === 'undici', samples: [] })
    }
    const rows = [['', 'undici', 'here', 'other', 'here / undici', 'other / undici', 'other / here']]
    for (const name of values.scenes.split(',')) rows.push([...(await compare(sides, name, server.origin))])
    console.log(align(rows))
  } finally {
    for (const { runner } of sides) runner.stop()
    server.stop()
  }
}

await main()
