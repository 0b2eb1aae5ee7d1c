import type { WireFormat } from './wire-format.ts'

/** The small service many people write around a model: `POST /generate` with `{ prompt }`, answered with `{ response }`. */
export const textGeneration: WireFormat = {
  name: 'text-generation',
  basePath: '',
  wantsStream: () => false,
  stream: () => ({ opening: [], chunks: [], finish: [], done: undefined }),
  json: answer => ({ response: answer.text.join('') }),
  // What FastAPI answers.
  error: status => ({ detail: `Request failed with status ${status}.` }),
  inBandError: error => ({ text: JSON.stringify({ error: error ?? 'CUDA out of memory.' }), done: false }),
  keepAlive: () => '\n',
  headers: () => ({ 'content-type': 'application/json' }),
}
