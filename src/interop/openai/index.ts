/** `unbusy/openai`: use a chain from the openai package, LangChain, or any client of OpenAI's chat completions API. */

import '../../require-node.ts'

export { openaiOptions } from './openai-options.ts'
export type { OpenAIClientOptions } from './openai-options.ts'
export { chatFetch } from './chat-fetch.ts'
export type { ChatFetchOptions } from './chat-fetch.ts'
export { chatHandler } from './chat-handler.ts'
export type { ChatHandlerOptions } from './chat-handler.ts'
export type { EndpointOptions, Routes } from './endpoint.ts'
