import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Consumer, createConsumer } from './consumer.ts'

let consumer: Consumer
let ways: readonly string[]

beforeAll(async () => {
  consumer = await createConsumer()
  const command = pathToFileURL(join(consumer.folder, 'node_modules/unbusy/dist/cli/main.js')).href
  // it runs where there is no Node at all
  ways = [...(await consumer.entries()), command].filter(way => way !== 'unbusy/browser')
  await writeFile(join(consumer.folder, 'old.mjs'), asOldNode)
})

afterAll(() => consumer.remove())

/**
 * This Node, which says that it is an old one, and in which every module of another package dies as soon as it runs: what an entry
 * point says then was said before any of them ran.
 */
const asOldNode = `import { registerHooks } from 'node:module'
Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })
registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    if (!url.includes('/node_modules/') || url.includes('/node_modules/unbusy/')) return loaded
    return { ...loaded, source: 'throw new TypeError("dead on arrival");' + loaded.source }
  },
})`

test('on an old Node every entry point and the command say which one is needed, before anything else can fail', async () => {
  for (const way of ways) {
    const message = await messageOf(process.execPath, ['--import', './old.mjs'], way)
    expect([way, message]).toEqual([way, 'unbusy needs Node 22.19 or newer, but this is v20.20.2'])
  }
})

test('so they do on each old Node that this machine has', async () => {
  for (const { program, version } of oldNodes()) {
    for (const way of ways) {
      expect([way, await messageOf(program, [], way)]).toEqual([way, `unbusy needs Node 22.19 or newer, but this is ${version}`])
    }
  }
})

test('what it says is what package.json demands', async () => {
  expect((await consumer.manifest()).engines.node).toBe('>=22.19')
})

async function messageOf(program: string, options: readonly string[], way: string): Promise<string> {
  const code = `import('${way}').then(() => console.log('imported'), error => console.log(error.message))`
  return (await consumer.run(program, [...options, '--input-type=module', '--eval', code])).trim()
}

/** The Nodes on the path that are older than ours, but for those that cannot load modules of this kind at all. */
function oldNodes(): readonly { readonly program: string; readonly version: string }[] {
  const programs = (process.env['PATH'] ?? '').split(delimiter).map(folder => join(folder, 'node'))
  return [...new Set(programs)].flatMap(program => {
    const version = versionOf(program)
    const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(version) ?? []
    const isOld = Number(major) < 22 || (Number(major) === 22 && Number(minor) < 19)
    return isOld && Number(major) >= 18 ? [{ program, version }] : []
  })
}

function versionOf(program: string): string {
  try {
    return execFileSync(program, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return ''
  }
}
