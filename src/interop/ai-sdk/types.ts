import type { LanguageModel } from 'ai'

/*
 * The types of the AI SDK's specification, taken from `ai`: that is the package that users install, and not every package manager exposes the
 * packages below it. They do not exist at run time.
 */

export type ModelV4 = Extract<LanguageModel, { readonly specificationVersion: 'v4' }>
export type ModelV3 = Extract<LanguageModel, { readonly specificationVersion: 'v3' }>
export type ModelV2 = Extract<LanguageModel, { readonly specificationVersion: 'v2' }>
export type AnyModel = ModelV2 | ModelV3 | ModelV4

export type CallOptions = Parameters<ModelV4['doGenerate']>[0]
export type Prompt = CallOptions['prompt']
export type Generated = Awaited<ReturnType<ModelV4['doGenerate']>>
export type Streamed = Awaited<ReturnType<ModelV4['doStream']>>
export type StreamPart = Streamed['stream'] extends ReadableStream<infer Part> ? Part : never
export type Warning = Generated['warnings'][number]
export type Metadata = NonNullable<Generated['providerMetadata']>
export type FinishReason = Generated['finishReason']
