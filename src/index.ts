import './require-node.ts'

export { type Client, createClient } from './client.ts'
export type { ClientOptions, DefaultResponse, GenerateInput } from './options.ts'
export type { Answer, GenerateResult } from './answer/answer.ts'
export type { AnsweredBy, AnswerStream } from './answer/answer-stream.ts'
export type { StreamEvent } from './answer/stream-event.ts'
export type { NodeResponse } from './answer/pipe.ts'
export type { ResponseOptions } from './answer/web-body.ts'

export {
  type ExecutableTools,
  runTools,
  type RunToolsInput,
  type RunToolsOptions,
  type RunToolsResult,
  type ToolContext,
} from './run-tools.ts'
export { RunToolsError, type ToolResult, type ToolStep } from './run-tools.ts'
export { array, type ArrayOf, choice, type Choice } from './output/forms.ts'
export { jsonSchema, type JsonSchemaOptions, type JsonSchemaVerdict } from './output/json-schema.ts'
export type { InferOutput, StandardSchema } from './output/standard-schema.ts'
export type { DeepPartial } from './output/partial-output.ts'
export type { ToolCallOf, ToolDefinition, ToolInput, ToolSet } from './output/tool-set.ts'

export { deepseek, type DeepSeekModel, type DeepSeekOptions } from './providers/deepseek.ts'
export { openai, type OpenAIModel, type OpenAIOptions } from './providers/openai.ts'
export { llama, type LlamaOptions } from './providers/llama.ts'
export { ollama, type OllamaOptions } from './providers/ollama.ts'
export { vllm, type VllmOptions } from './providers/vllm.ts'
export { sglang, type SglangOptions } from './providers/sglang.ts'
export { tensorrtLlm, type TensorrtLlmOptions } from './providers/tensorrt-llm.ts'
export { host, type HostOptions } from './providers/host.ts'
export type { HostName } from './providers/hosts.ts'
export { openaiCompatible, type OpenAICompatibleOptions } from './providers/openai-compatible.ts'
export { textGeneration, type TextGenerationOptions } from './providers/text-generation.ts'
export { pool, type Pool, type PoolOptions, type PoolStrategy } from './chain/pool.ts'
export type { ServiceOptions, TargetOptions } from './providers/target.ts'
export type { KeepWarmStatus } from './telemetry/keep-warm-status.ts'
export type { WarmUpOptions, WarmUpResult } from './keep-warm/warm-up.ts'

export {
  type DeepSeekAccountOptions,
  deepseekBalance,
  type DeepSeekBalance,
  type DeepSeekModelInfo,
  deepseekModels,
} from './providers/deepseek-account.ts'
export { deepseekFim, type DeepSeekFimOptions, type DeepSeekFimResult } from './providers/deepseek-fim.ts'

export { ChainExhaustedError, ProviderError, type ProviderErrorOptions, UnbusyError } from './errors.ts'
export { StreamInterruptedError } from './answer/stream-interrupted-error.ts'
export type { AfterFirstToken } from './answer/continuation.ts'
export type { HedgeSettings } from './chain/state.ts'
export type { BreakerSettings } from './health/settings.ts'
export type { TargetSnapshot } from './health/health.ts'
export type { LimitsSnapshot, LimitUse } from './health/limits.ts'
export { sharedHealth, type SharedHealth, type SharedHealthOptions } from './health/shared-health.ts'
export type { HealthFact, HealthStore, StoreMessage } from './health/store.ts'
export type { Logger } from './telemetry/log.ts'
export type { Costs } from './cost.ts'
export type { CallCounts, ClientStatus, FailureNote, TargetStatus } from './telemetry/activity.ts'
export type {
  TelemetryAnswer,
  TelemetryAttempt,
  TelemetryClient,
  TelemetryEnd,
  TelemetryHooks,
  TelemetryPart,
  TelemetryStep,
  TelemetryTool,
} from './telemetry/part.ts'
export type {
  Attempt,
  Call,
  Capabilities,
  Clock,
  FinishReason,
  Identity,
  ImagePart,
  Issue,
  JsonSchema,
  Message,
  Prefix,
  Provider,
  ProviderEvent,
  ProviderMetadata,
  Reasoning,
  ServerLoad,
  TextPart,
  TimeoutSettings,
  Tool,
  ToolCall,
  ToolChoice,
  Usage,
  Warning,
} from './contract.ts'
export type { AttemptKind, AttemptRecord, ClientEvent, EventListener, RequestSettings } from './contract-events.ts'
export type { ClockName, Decision, Failure, FailureReason } from './contract-failures.ts'
export type { Budget, CallChanges, KeepWarm, Price, PriceRule, RetrySettings, Target, TargetLimits } from './contract-targets.ts'
