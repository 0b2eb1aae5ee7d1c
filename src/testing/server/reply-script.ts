import type { ReplySource } from '../reply.ts'

/** The list of replies: each is used once, and the last one repeats. */
export type ReplyScript = {
  /** Returns the reply for the next request without using it up. */
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
  throw new TypeError('startServer: the list of replies is empty. Write at least one reply; the last one is repeated.')
}

/** `Array.isArray` does not narrow the type of a read-only array. */
function isList(replies: ReplySource | readonly ReplySource[]): replies is readonly ReplySource[] {
  return Array.isArray(replies)
}

function isFilled(list: readonly ReplySource[]): list is FilledList {
  return list.length > 0
}
