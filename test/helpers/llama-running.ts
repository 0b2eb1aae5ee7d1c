import { needed } from './needed.ts'

/** Base URL of a llama.cpp server that runs already, with a small model, two slots and `--metrics`. */
export const baseURL = process.env['UNBUSY_LLAMA_URL'] ?? ''
export const llamaRunning = needed(
  'llama',
  baseURL === '' ? 'set UNBUSY_LLAMA_URL to the base URL of a llama.cpp server' : undefined,
)

/** The same with `--api-key`. */
export const keyURL = process.env['UNBUSY_LLAMA_KEY_URL'] ?? ''
export const apiKey = process.env['UNBUSY_LLAMA_KEY'] ?? ''
export const llamaWithKey = needed(
  'llama',
  keyURL === '' || apiKey === '' ? 'set UNBUSY_LLAMA_KEY_URL and UNBUSY_LLAMA_KEY' : undefined,
)
