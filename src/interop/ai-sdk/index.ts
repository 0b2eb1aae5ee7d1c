/** `unbusy/ai-sdk`: use a chain as a model of the AI SDK, and any model of the AI SDK as a target of a chain. */

import '../../require-node.ts'

export { unbusy } from './unbusy.ts'
export type { UnbusySettings } from './unbusy.ts'
export type { UnbusyCallOptions } from './read-call.ts'
export { aiSdk } from './ai-sdk.ts'
export type { AiSdkOptions } from './ai-sdk.ts'
