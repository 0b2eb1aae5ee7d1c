/** A queue from whose middle an item can be removed in constant time. */
export type LinkedQueue<Item> = {
  /** Adds the item at the end and returns a function that removes it. Removing it twice, or after it was taken, changes nothing. */
  add(item: Item): () => void
  first(): Item | undefined
  takeFirst(): Item | undefined
  takeLast(): Item | undefined
  readonly size: number
  clear(): void
}

type Node<Item> = {
  readonly item: Item
  before: Node<Item> | undefined
  after: Node<Item> | undefined
  isTaken: boolean
}

export function createLinkedQueue<Item>(): LinkedQueue<Item> {
  let first: Node<Item> | undefined
  let last: Node<Item> | undefined

  function add(item: Item): () => void {
    const node: Node<Item> = { item, before: last, after: undefined, isTaken: false }
    if (last === undefined) first = node
    else last.after = node
    last = node
    queue.size += 1
    return () => void take(node)
  }

  function take(node: Node<Item> | undefined): Item | undefined {
    if (node === undefined || node.isTaken) return undefined
    const { before, after } = node
    if (before === undefined) first = after
    else before.after = after
    if (after === undefined) last = before
    else after.before = before
    node.isTaken = true
    queue.size -= 1
    return node.item
  }

  const queue = {
    size: 0,
    add,
    first: () => first?.item,
    takeFirst: () => take(first),
    takeLast: () => take(last),
    clear() {
      while (first !== undefined) take(first)
    },
  }
  return queue
}
