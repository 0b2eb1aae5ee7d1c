/**
 * `npm run peers [group...]`, `npm run peers:newest [group...]`. Without a group: all that tests use. `--list` only names those that can
 * be used on a machine like this.
 */

import { parseArgs } from 'node:util'
import { installNewestPeers, installPeers, isForHere, type PeerGroup, peerGroups } from './groups.ts'

const flag = { type: 'boolean', default: false } as const
const { values, positionals } = parseArgs({ options: { newest: flag, list: flag }, allowPositionals: true })
const unknown = positionals.filter(name => !peerGroups.includes(name as PeerGroup))
if (unknown.length > 0) {
  console.error(`There is no group ${unknown.join(', ')} in test/peers. There are: ${peerGroups.join(', ')}.`)
  process.exit(2)
}

// the bench installs its own when it runs
const groups = positionals.length === 0 ? peerGroups.filter(group => group !== 'bench') : (positionals as PeerGroup[])
if (values.list) console.log(groups.filter(isForHere).join(','))
else await Promise.all(groups.map(install))

async function install(group: PeerGroup): Promise<void> {
  const began = performance.now()
  try {
    const state = await (values.newest ? installNewestPeers(group) : installPeers(group))
    console.log(`${group}: ${state}, ${((performance.now() - began) / 1000).toFixed(1)} s`)
  } catch (error) {
    console.error(`${group}: could not be installed.\n${(error as { readonly stderr?: string }).stderr ?? String(error)}`)
    process.exitCode = 1
  }
}
