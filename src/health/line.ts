/** A waiting line: in order, and anybody may leave from the middle at no cost. */
export type Line<Item> = {
  /** Answers how to leave; to leave twice, or after having been taken, changes nothing. */
  join(item: Item): () => void
  takeFirst(): Item | undefined
  takeLast(): Item | undefined
  size(): number
  clear(): void
}

type Place<Item> = {
  readonly item: Item
  before: Place<Item> | undefined
  after: Place<Item> | undefined
  isTaken: boolean
}

export function createLine<Item>(): Line<Item> {
  let first: Place<Item> | undefined
  let last: Place<Item> | undefined
  let size = 0

  function join(item: Item): () => void {
    const place: Place<Item> = { item, before: last, after: undefined, isTaken: false }
    if (last === undefined) first = place
    else last.after = place
    last = place
    size += 1
    return () => void leave(place)
  }

  function leave(place: Place<Item> | undefined): Item | undefined {
    if (place === undefined || place.isTaken) return undefined
    const { before, after } = place
    if (before === undefined) first = after
    else before.after = after
    if (after === undefined) last = before
    else after.before = before
    place.isTaken = true
    size -= 1
    return place.item
  }

  return {
    join,
    takeFirst: () => leave(first),
    takeLast: () => leave(last),
    size: () => size,
    clear() {
      while (first !== undefined) leave(first)
    },
  }
}
