import type { Ask } from './bounded.ts'

export type ProbeLeaseOptions = { readonly ask: Ask; readonly name: string; readonly id: string; readonly forMs: number }

/** Of all processes one may probe (R107). Who has the lease already keeps it for another while. */
export async function takeProbeLease({ ask, name, id, forMs }: ProbeLeaseOptions): Promise<boolean> {
  const mine = `${mark}${id}`
  const lifetime = String(Math.ceil(forMs))
  const taken = await ask('SET', name, mine, 'NX', 'PX', lifetime)
  if (taken !== null) return true
  // MGET, because GET fails where a foreign program has put something that is no text.
  const held = await ask('MGET', name)
  const holder: unknown = Array.isArray(held) ? held[0] : undefined
  if (holder === mine) await ask('PEXPIRE', name, lifetime)
  return holder === mine || !isOurs(holder)
}

/** MGET here too, for GET fails on what is no text. */
const deleteOwn = `
if redis.call('MGET', KEYS[1])[1] == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

export type ProbeReleaseOptions = Omit<ProbeLeaseOptions, 'forMs'> & { readonly mayRunScripts: boolean }

/** Only its holder gives a lease up: one that has ended may be another process's by now (F93). */
export async function releaseProbeLease({ ask, name, id, mayRunScripts }: ProbeReleaseOptions): Promise<void> {
  const mine = `${mark}${id}`
  if (mayRunScripts) {
    await ask('EVAL', deleteOwn, '1', name, mine)
    return
  }
  const held = await ask('MGET', name)
  if (Array.isArray(held) && held[0] === mine) await ask('PEXPIRE', name, '1')
}

const mark = 'unbusy '

/** A value that is not ours would keep everybody from probing for ever. */
function isOurs(holder: unknown): boolean {
  return typeof holder === 'string' && holder.startsWith(mark)
}
