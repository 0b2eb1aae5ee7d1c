/** Reads what V8's profilers answer: where the time of a call goes, or its memory, by room, function and line. */

import { fileURLToPath } from 'node:url'

type CallFrame = {
  readonly functionName: string
  readonly scriptId: string
  readonly url: string
  readonly lineNumber: number
  readonly columnNumber: number
}

export type CpuProfile = {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: CallFrame
    readonly hitCount?: number
    readonly children?: readonly number[]
    readonly positionTicks?: readonly { readonly line: number; readonly ticks: number }[]
  }[]
}

type HeapNode = { readonly callFrame: CallFrame; readonly selfSize: number; readonly children: readonly HeapNode[] }
export type HeapProfile = { readonly head: HeapNode }

/** Both kinds in one form. `self` is in ticks or in bytes. */
type Node = {
  readonly frame: CallFrame
  readonly self: number
  readonly children: readonly Node[]
  readonly lines: readonly { readonly line: number; readonly ticks: number }[]
}

export type Share = { readonly name: string; readonly self: number; readonly total: number }
export type Report = {
  readonly sum: number
  readonly rooms: readonly Share[]
  readonly functions: readonly Share[]
  readonly lines: readonly Share[]
}

const root = fileURLToPath(new URL('../../', import.meta.url))

const cpuTree = ({ nodes }: CpuProfile): Node => {
  const byId = new Map(nodes.map(node => [node.id, node]))
  const build = (id: number): Node => {
    const node = byId.get(id)
    if (node === undefined) throw new Error(`The profile has no node ${id}.`)
    const children = (node.children ?? []).map(build)
    return { frame: node.callFrame, self: node.hitCount ?? 0, children, lines: node.positionTicks ?? [] }
  }
  return build(nodes[0]?.id ?? 1)
}

const heapTree = (node: HeapNode): Node => ({
  frame: node.callFrame,
  self: node.selfSize,
  children: node.children.map(heapTree),
  lines: [],
})

const pathOf = ({ url }: CallFrame): string => (url.startsWith('file:') ? fileURLToPath(url).replace(root, '') : url)

/** The package, the folder of ours, or V8's own. */
const roomOf = (frame: CallFrame): string => {
  const path = pathOf(frame)
  if (path === '') return frame.functionName.startsWith('(') ? frame.functionName : '(native)'
  const inPackage = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]
  if (inPackage !== undefined && !inPackage.startsWith('.')) return inPackage
  if (path.startsWith('node:')) return path.split('/').slice(0, 2).join('/')
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : path
}

const functionOf = (frame: CallFrame): string => {
  const path = pathOf(frame)
  const name = frame.functionName === '' ? '(anonymous)' : frame.functionName
  return path === '' ? name : `${name}  ${path}:${frame.lineNumber + 1}`
}

const idle = new Set(['(idle)', '(root)'])

type Tally = Map<string, { self: number; total: number }>

const add = (tally: Tally, name: string, part: 'self' | 'total', amount: number): void => {
  const entry = tally.get(name) ?? { self: 0, total: 0 }
  entry[part] += amount
  tally.set(name, entry)
}

const isOurs = (path: string): boolean => /(?:^|\/)(?:src|dist)\//.test(path) && !path.includes('node_modules')

const walk = (node: Node, above: ReadonlySet<string>, tallies: { rooms: Tally; functions: Tally; lines: Tally }): number => {
  const name = functionOf(node.frame)
  if (node.frame.functionName === '(idle)') return 0
  const self = idle.has(node.frame.functionName) ? 0 : node.self
  const stack = new Set(above).add(name)
  const total = node.children.reduce((sum, child) => sum + walk(child, stack, tallies), self)
  add(tallies.rooms, roomOf(node.frame), 'self', self)
  add(tallies.functions, name, 'self', self)
  // a function that calls itself must not count twice
  if (!above.has(name)) add(tallies.functions, name, 'total', total)
  const path = pathOf(node.frame)
  if (isOurs(path)) for (const { line, ticks } of node.lines) add(tallies.lines, `${path}:${line}`, 'self', ticks)
  return total
}

const sorted = (tally: Tally): readonly Share[] =>
  [...tally].map(([name, { self, total }]) => ({ name, self, total })).toSorted((a, b) => b.self - a.self)

const treeOf = (profile: CpuProfile | HeapProfile): Node => ('nodes' in profile ? cpuTree(profile) : heapTree(profile.head))

export const report = (profile: CpuProfile | HeapProfile): Report => {
  const tallies = { rooms: new Map(), functions: new Map(), lines: new Map() } satisfies { [name: string]: Tally }
  const sum = walk(treeOf(profile), new Set(), tallies)
  return { sum, rooms: sorted(tallies.rooms), functions: sorted(tallies.functions), lines: sorted(tallies.lines) }
}

const totalOf = (node: Node): number =>
  node.frame.functionName === '(idle)' ? 0 : node.children.reduce((sum, child) => sum + totalOf(child), node.self)

/** Who calls whom: the share of each function with its callees, and in brackets its own. */
export const tree = (profile: CpuProfile | HeapProfile, leastPercent: number): string => {
  const top = treeOf(profile)
  const sum = totalOf(top)
  const share = (part: number): string => ((part / sum) * 100).toFixed(1)
  const lines: string[] = []
  const show = (node: Node, depth: number): void => {
    const total = totalOf(node)
    if ((total / sum) * 100 < leastPercent) return
    lines.push(`${'  '.repeat(depth)}${share(total)} [${share(node.self)}] ${functionOf(node.frame)}`)
    for (const child of node.children.toSorted((a, b) => totalOf(b) - totalOf(a))) show(child, depth + 1)
  }
  show(top, 0)
  return lines.join('\n')
}
