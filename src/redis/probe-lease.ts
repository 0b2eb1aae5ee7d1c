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

const mark = 'unbusy '

/** A value that is not ours would keep everybody from probing for ever. */
function isOurs(holder: unknown): boolean {
  return typeof holder === 'string' && holder.startsWith(mark)
}
