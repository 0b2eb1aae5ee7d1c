import type { WireFormat } from './wire-format.ts'

/** The small service that many people write around a model: `POST /generate` with `{ prompt }` returns `{ response }`. */
export const textGeneration: WireFormat = {
  name: 'text-generation',
  basePath: '',
  wantsStream: () => false,
  stream: () => ({ opening: [], chunks: [], finish: [], done: undefined }),
  json: answer => ({ response: answer.text.join('') }),
  // The error format of FastAPI.
  error: status => ({ detail: `Request failed with status ${status}.` }),
  inBandError: error => ({ text: JSON.stringify({ error: error ?? 'CUDA out of memory.' }), done: false }),
  keepAlive: () => '\n',
  headers: () => ({ 'content-type': 'application/json' }),
}
