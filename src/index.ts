export { type Client, createClient } from './client.ts'
export type { ClientOptions, DefaultResponse, GenerateInput } from './options.ts'
export type { GenerateResult } from './result.ts'
export type { AnswerStream, StreamEvent } from './stream.ts'

export { ChainExhaustedError, ProviderError, type ProviderErrorOptions, StreamInterruptedError, UnbusyError } from './errors.ts'
export type {
  Attempt,
  AttemptRecord,
  Call,
  Capabilities,
  ClientEvent,
  Clock,
  ClockName,
  Decision,
  EventListener,
  Failure,
  FailureReason,
  FinishReason,
  ImagePart,
  JsonSchema,
  Message,
  Prefix,
  Price,
  Provider,
  ProviderEvent,
  Reasoning,
  RetrySettings,
  Target,
  TextPart,
  TimeoutSettings,
  Tool,
  ToolCall,
  ToolChoice,
  Usage,
  Warning,
} from './contract.ts'
