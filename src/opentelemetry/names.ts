/**
 * The names of the GenAI conventions 0.1.0 (repository semantic-conventions-genai, on top of semantic-conventions 1.45.0), and our own. The
 * conventions are in development and ask libraries to keep their own copy, so later renames are made here.
 */

export const attributes = {
  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  requestModel: 'gen_ai.request.model',
  stream: 'gen_ai.request.stream',
  temperature: 'gen_ai.request.temperature',
  topP: 'gen_ai.request.top_p',
  maxTokens: 'gen_ai.request.max_tokens',
  stopSequences: 'gen_ai.request.stop_sequences',
  seed: 'gen_ai.request.seed',
  reasoningLevel: 'gen_ai.request.reasoning.level',
  outputType: 'gen_ai.output.type',
  responseId: 'gen_ai.response.id',
  responseModel: 'gen_ai.response.model',
  finishReasons: 'gen_ai.response.finish_reasons',
  timeToFirstChunk: 'gen_ai.response.time_to_first_chunk',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  cachedTokens: 'gen_ai.usage.cache_read.input_tokens',
  reasoningTokens: 'gen_ai.usage.reasoning.output_tokens',
  inputMessages: 'gen_ai.input.messages',
  outputMessages: 'gen_ai.output.messages',
  systemInstructions: 'gen_ai.system_instructions',
  toolDefinitions: 'gen_ai.tool.definitions',
  toolName: 'gen_ai.tool.name',
  toolType: 'gen_ai.tool.type',
  toolCallId: 'gen_ai.tool.call.id',
  toolCallArguments: 'gen_ai.tool.call.arguments',
  toolCallResult: 'gen_ai.tool.call.result',
  tokenModality: 'gen_ai.token.modality',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  httpStatus: 'http.response.status_code',
  errorType: 'error.type',
} as const

/** Names for values without a convention. */
export const ours = {
  outcome: 'unbusy.outcome',
  reason: 'unbusy.reason',
  targets: 'unbusy.targets',
  attempts: 'unbusy.attempts',
  attempt: 'unbusy.attempt',
  kind: 'unbusy.attempt.kind',
  targetIndex: 'unbusy.target.index',
  targetStep: 'unbusy.target.step',
  targetName: 'unbusy.target.name',
  state: 'unbusy.target.state',
  cost: 'unbusy.cost',
  waitMs: 'unbusy.wait_ms',
  result: 'unbusy.result',
  part: 'unbusy.part',
  step: 'unbusy.step',
} as const

export const metricNames = {
  duration: 'gen_ai.client.inference.duration',
  timeToFirstChunk: 'gen_ai.client.inference.time_to_first_chunk',
  inputTokens: 'gen_ai.client.inference.usage.input_tokens',
  outputTokens: 'gen_ai.client.inference.usage.output_tokens',
  cachedTokens: 'gen_ai.client.inference.usage.cache_read.input_tokens',
  reasoningTokens: 'gen_ai.client.inference.usage.reasoning.output_tokens',
} as const

/** Names from before 0.1.0, for readers of older dashboards. Nothing is reported under them. */
export const formerNames: Readonly<Record<string, string>> = {
  [attributes.provider]: 'gen_ai.system',
  [attributes.outputType]: 'gen_ai.openai.request.response_format',
  [attributes.seed]: 'gen_ai.openai.request.seed',
  [attributes.inputMessages]: 'gen_ai.user.message, gen_ai.system.message, gen_ai.tool.message (events)',
  [attributes.outputMessages]: 'gen_ai.choice (event)',
  [metricNames.duration]: 'gen_ai.client.operation.duration',
  [metricNames.timeToFirstChunk]: 'gen_ai.client.operation.time_to_first_chunk',
  [metricNames.inputTokens]: 'gen_ai.client.token.usage with gen_ai.token.type input',
  [metricNames.outputTokens]: 'gen_ai.client.token.usage with gen_ai.token.type output',
}

/** The histogram boundaries of the conventions for durations in seconds. */
export const secondsBoundaries = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]

/** Services with a different name in the conventions. All other services keep their name. */
const providers: Readonly<Record<string, string>> = {
  azure: 'azure.ai.openai',
  'github-models': 'azure.ai.inference',
  gemini: 'gcp.gemini',
  mistral: 'mistral_ai',
  moonshot: 'moonshot_ai',
  'moonshot-cn': 'moonshot_ai',
  xai: 'x_ai',
}

export function providerName(name: string): string {
  return Object.hasOwn(providers, name) ? (providers[name] ?? name) : name
}
