/** `npm run peers [group...]` and `npm run peers:newest [group...]`. Without a group: all of them. */

import { parseArgs } from 'node:util'
import { installNewestPeers, installPeers, type PeerGroup, peerGroups } from './groups.ts'

const { values, positionals } = parseArgs({ options: { newest: { type: 'boolean', default: false } }, allowPositionals: true })
const unknown = positionals.filter(name => !peerGroups.includes(name as PeerGroup))
if (unknown.length > 0) {
  console.error(`There is no group ${unknown.join(', ')} in test/peers. There are: ${peerGroups.join(', ')}.`)
  process.exit(2)
}

const groups = positionals.length === 0 ? peerGroups : (positionals as PeerGroup[])
const install = values.newest ? installNewestPeers : installPeers
for (const group of groups) {
  const began = performance.now()
  try {
    const state = await install(group)
    console.log(`${group}: ${state}, ${((performance.now() - began) / 1000).toFixed(1)} s`)
  } catch (error) {
    console.error(`${group}: could not be installed.\n${(error as { readonly stderr?: string }).stderr ?? String(error)}`)
    process.exitCode = 1
  }
}
