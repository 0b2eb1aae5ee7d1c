import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { GatewayKey } from './config.ts'

/** An accepted key. */
export type Admitted = {
  /** Its index in the list, from 0, which may be logged. `undefined` if the gateway has no keys. */
  readonly key: number | undefined
  /** The routes that it may use; undefined: all routes. */
  readonly routes: readonly string[] | undefined
}

export type Keys = {
  /** Returns undefined for a missing or wrong key. */
  admit(request: IncomingMessage): Admitted | undefined
}

/** Without any key, every request is admitted. */
export function createKeys(keys: readonly GatewayKey[] | undefined): Keys {
  if (keys === undefined || keys.length === 0) return { admit: () => ({ key: undefined, routes: undefined }) }
  const known = keys.map((one, key) => {
    const { key: text, routes }: Exclude<GatewayKey, string> = typeof one === 'string' ? { key: one } : one
    return { digest: digestOf(text), admitted: { key, routes } }
  })
  return {
    admit(request) {
      const sent = sentKey(request.headers.authorization)
      if (sent === undefined) return undefined
      const digest = digestOf(sent)
      // compares with all keys, each in constant time, so that the duration reveals nothing
      let found: Admitted | undefined
      for (const one of known) if (timingSafeEqual(one.digest, digest)) found = one.admitted
      return found
    },
  }
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

/** Reads the key from `Bearer`, or from the password of `Basic`, for which browsers ask their user. */
function sentKey(header: string | undefined): string | undefined {
  const [, scheme = '', value = ''] = /^(\S+)\s+(\S+)\s*$/.exec(header ?? '') ?? []
  if (scheme.toLowerCase() === 'bearer') return value
  if (scheme.toLowerCase() !== 'basic') return undefined
  const [, ...password] = Buffer.from(value, 'base64').toString('utf8').split(':')
  return password.join(':')
}
