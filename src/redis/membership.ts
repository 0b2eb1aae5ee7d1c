import type { Clock } from '../contract.ts'
import type { Send } from './connection.ts'
import type { RedisTime } from './fact-store.ts'

/** How many processes are alive: each sends a heartbeat every few seconds, and is considered gone when its heartbeats stop. */
export type Membership = {
  /** Sends the heartbeat of this process, and counts the live processes. */
  heartbeat(send: Send): Promise<void>
  leave(send: Send): Promise<unknown>
  count(): number
}

export type MembershipOptions = {
  readonly id: string
  readonly key: string
  readonly clock: Clock
  readonly time: RedisTime
  readonly onChange: () => void
  /** Called when Redis has forgotten this process, because it was flushed or restarted without its data. */
  readonly onForgotten: () => void
}

/** How often a process sends a heartbeat, in milliseconds. A process is considered gone when two heartbeats were lost. */
export const heartbeatMs = 5_000
const lifetimeMs = 15_000

export function createMembership({ id, key, clock, time, onChange, onForgotten }: MembershipOptions): Membership {
  let count = 1
  let isKnown = false
  let forgottenAt = Number.NEGATIVE_INFINITY

  function forget(): void {
    forgottenAt = clock.now()
    onForgotten()
  }

  async function heartbeat(send: Send): Promise<void> {
    await time.read(send)
    const now = time.latest()
    const [added, counted] = await Promise.all([
      send('ZADD', key, String(now), id),
      send('ZCOUNT', key, String(now - lifetimeMs), String(now + lifetimeMs)),
      send('ZREMRANGEBYSCORE', key, '-inf', String(now - 4 * lifetimeMs)),
      send('PEXPIRE', key, String(4 * lifetimeMs)),
    ])
    if (isKnown && Number(added) === 1) forget()
    isKnown = true
    const living = Number(counted)
    update(living >= 1 ? living : 1)
  }

  /** When Redis has forgotten all processes, the others need a while to come back; until then their shares must not be given away. */
  function update(counted: number): void {
    const before = count
    count = clock.now() - forgottenAt < lifetimeMs ? Math.max(count, counted) : counted
    if (count !== before) onChange()
  }

  return { heartbeat, leave: send => send('ZREM', key, id), count: () => count }
}

export type ProbeLeaseOptions = { readonly send: Send; readonly name: string; readonly id: string; readonly forMs: number }

/** Returns whether this process may probe; only one process may (R107). If this process has the lease already, it is extended. */
export async function takeProbeLease({ send, name, id, forMs }: ProbeLeaseOptions): Promise<boolean> {
  const mine = `${mark}${id}`
  const lifetime = String(Math.ceil(forMs))
  const taken = await send('SET', name, mine, 'NX', 'PX', lifetime)
  if (taken !== null) return true
  // MGET, because GET fails if a foreign program has stored a value there that is not a string.
  const held = await send('MGET', name)
  const holder: unknown = Array.isArray(held) ? held[0] : undefined
  if (holder === mine) await send('PEXPIRE', name, lifetime)
  return holder === mine || !isOurs(holder)
}

/** MGET here too, because GET fails on a value that is not a string. */
const deleteOwn = `
if redis.call('MGET', KEYS[1])[1] == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

export type ProbeReleaseOptions = Omit<ProbeLeaseOptions, 'forMs'> & { readonly mayRunScripts: boolean }

/** Releases the lease only if this process holds it: after its time the lease may belong to another process (F93). */
export async function releaseProbeLease({ send, name, id, mayRunScripts }: ProbeReleaseOptions): Promise<void> {
  const mine = `${mark}${id}`
  if (mayRunScripts) {
    await send('EVAL', deleteOwn, '1', name, mine)
    return
  }
  const held = await send('MGET', name)
  if (Array.isArray(held) && held[0] === mine) await send('PEXPIRE', name, '1')
}

const mark = 'unbusy '

/** Whether the holder is an unbusy process. A foreign value must not keep all processes from probing forever. */
function isOurs(holder: unknown): boolean {
  return typeof holder === 'string' && holder.startsWith(mark)
}
