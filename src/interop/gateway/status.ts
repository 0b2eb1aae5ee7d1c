import { statusFetch } from '../../status/handler.ts'
import type { Reply } from '../openai/reply.ts'
import type { Generation } from './generation.ts'

/** Returns the status page of `unbusy/status` to browsers and JSON to all other clients, with one entry per route. */
export async function statusOf({ clients }: Generation, accept: string | undefined): Promise<Reply> {
  const request = new Request('http://gateway.invalid/status', { headers: accept === undefined ? {} : { accept } })
  const response = statusFetch(Object.fromEntries(clients))(request)
  const { status } = response
  return {
    status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
    told: { outcome: 'answered', status },
  }
}
