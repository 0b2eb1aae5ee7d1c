/** The baseline: what the same work costs with undici by hand, without a guard against anything. */

import { Pool } from 'undici'
import { model, prompt } from './client.ts'
import type { BenchClient } from './client.ts'

type Request = { readonly pool: Pool; readonly path: string; readonly body: string }
type Reply = { readonly choices: readonly { readonly message: { readonly content: string } }[] }
type Chunk = { readonly choices: readonly { readonly delta: { readonly content?: string } }[] }

const headers = { 'content-type': 'application/json', authorization: 'Bearer x' }
const pools = new Map<string, Pool>()

const requestFor = (baseURL: string, stream: boolean): Request => {
  const { origin, pathname } = new URL(`${baseURL}/chat/completions`)
  const pool = pools.get(origin) ?? new Pool(origin)
  pools.set(origin, pool)
  return { pool, path: pathname, body: JSON.stringify({ model, messages: [{ role: 'user', content: prompt }], stream }) }
}

const send = async ({ pool, path, body }: Request): Promise<string | undefined> => {
  const reply = await pool.request({ method: 'POST', path, headers, body })
  if (reply.statusCode !== 200) {
    await reply.body.dump()
    return undefined
  }
  return ((await reply.body.json()) as Reply).choices[0]?.message.content
}

const contentOf = (line: string): string => {
  if (!line.startsWith('data: ') || line === 'data: [DONE]') return ''
  return (JSON.parse(line.slice(6)) as Chunk).choices[0]?.delta.content ?? ''
}

const readStream = async ({ pool, path, body }: Request, onFirst?: () => void): Promise<string> => {
  const reply = await pool.request({ method: 'POST', path, headers, body })
  reply.body.setEncoding('utf8')
  let text = ''
  let rest = ''
  for await (const piece of reply.body) {
    rest += piece as string
    let start = 0
    for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n', start)) {
      const content = contentOf(rest.slice(start, end))
      if (content !== '' && text === '') onFirst?.()
      text += content
      start = end + 1
    }
    rest = rest.slice(start)
  }
  return text
}

export const undici: BenchClient = {
  name: 'undici',
  call(baseURL) {
    const request = requestFor(baseURL, false)
    return async () => (await send(request)) ?? ''
  },
  stream(baseURL) {
    const request = requestFor(baseURL, true)
    return onFirst => readStream(request, onFirst)
  },
  fallback(busyURL, baseURL) {
    const busy = requestFor(busyURL, false)
    const request = requestFor(baseURL, false)
    return async () => (await send(busy)) ?? (await send(request)) ?? ''
  },
}
