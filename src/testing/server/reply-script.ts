import type { ReplySource } from '../reply.ts'

/** The list of replies: each is taken once, the last one stays. */
export type ReplyScript = {
  /** What the next request gets. */
  peek(): ReplySource
  take(): ReplySource
  replace(replies: ReplySource | readonly ReplySource[]): void
}

export function createReplyScript(first: ReplySource | readonly ReplySource[]): ReplyScript {
  let waiting = listOf(first)
  return {
    peek: () => waiting[0],
    take() {
      const [next, ...rest] = waiting
      if (isFilled(rest)) waiting = rest
      return next
    },
    replace: replies => (waiting = listOf(replies)),
  }
}

type FilledList = readonly [ReplySource, ...ReplySource[]]

function listOf(replies: ReplySource | readonly ReplySource[]): FilledList {
  const list = isList(replies) ? replies : [replies]
  if (isFilled(list)) return list
  throw new TypeError('startServer: the list of replies is empty. Give at least one reply; the last one is repeated.')
}

/** `Array.isArray` does not see a read-only list as one. */
function isList(replies: ReplySource | readonly ReplySource[]): replies is readonly ReplySource[] {
  return Array.isArray(replies)
}

function isFilled(list: readonly ReplySource[]): list is FilledList {
  return list.length > 0
}
