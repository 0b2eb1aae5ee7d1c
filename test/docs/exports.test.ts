import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }

/**
 * Everything that users can import, written down once more: what is added or taken away shows in a change of this file.
 * Values first, then types, each in the order of the alphabet.
 */
const entries = {
  unbusy: {
    values: [
      'ChainExhaustedError',
      'ProviderError',
      'RunToolsError',
      'StreamInterruptedError',
      'UnbusyError',
      'array',
      'choice',
      'createClient',
      'deepseek',
      'deepseekBalance',
      'deepseekFim',
      'deepseekModels',
      'host',
      'llama',
      'ollama',
      'openai',
      'openaiCompatible',
      'pool',
      'runTools',
      'sglang',
      'tensorrtLlm',
      'textGeneration',
      'vllm',
    ],
    types: [
      'AfterFirstToken',
      'Answer',
      'AnswerStream',
      'ArrayOf',
      'Attempt',
      'AttemptRecord',
      'BreakerSettings',
      'Call',
      'Capabilities',
      'Choice',
      'Client',
      'ClientEvent',
      'ClientOptions',
      'Clock',
      'ClockName',
      'Decision',
      'DeepPartial',
      'DeepSeekAccountOptions',
      'DeepSeekBalance',
      'DeepSeekFimOptions',
      'DeepSeekFimResult',
      'DeepSeekModel',
      'DeepSeekModelInfo',
      'DeepSeekOptions',
      'DefaultResponse',
      'EventListener',
      'ExecutableTools',
      'Failure',
      'FailureReason',
      'FinishReason',
      'GenerateInput',
      'GenerateResult',
      'HealthFact',
      'HealthStore',
      'HedgeSettings',
      'HostName',
      'HostOptions',
      'Identity',
      'ImagePart',
      'InferOutput',
      'Issue',
      'JsonSchema',
      'LlamaOptions',
      'Logger',
      'Message',
      'OllamaOptions',
      'OpenAICompatibleOptions',
      'OpenAIModel',
      'OpenAIOptions',
      'Pool',
      'PoolOptions',
      'PoolStrategy',
      'Prefix',
      'Price',
      'Provider',
      'ProviderErrorOptions',
      'ProviderEvent',
      'Reasoning',
      'RetrySettings',
      'RunToolsInput',
      'RunToolsOptions',
      'RunToolsResult',
      'ServiceOptions',
      'SglangOptions',
      'StandardSchema',
      'StoreMessage',
      'StreamEvent',
      'Target',
      'TargetOptions',
      'TargetSnapshot',
      'TensorrtLlmOptions',
      'TextGenerationOptions',
      'TextPart',
      'TimeoutSettings',
      'Tool',
      'ToolCall',
      'ToolCallOf',
      'ToolChoice',
      'ToolContext',
      'ToolDefinition',
      'ToolInput',
      'ToolResult',
      'ToolSet',
      'ToolStep',
      'Usage',
      'VllmOptions',
      'Warning',
    ],
  },
  'unbusy/testing': {
    values: [
      'answer',
      'fakeClock',
      'fakeTarget',
      'garbage',
      'hang',
      'hold',
      'json',
      'linger',
      'providerContract',
      'raw',
      'recordEvents',
      'refuse',
      'runAttempt',
      'startServer',
      'status',
      'testProvider',
    ],
    types: [
      'Answer',
      'AnswerOptions',
      'AnswerToolCall',
      'AttemptOptions',
      'AttemptRun',
      'Conduct',
      'ContractCase',
      'ContractOptions',
      'ContractReport',
      'ContractServer',
      'EventRecorder',
      'FakeAnswer',
      'FakeCall',
      'FakeClock',
      'FakeProvider',
      'FakeReply',
      'FakeScript',
      'FakeTarget',
      'FakeTargetOptions',
      'Hold',
      'Position',
      'PromiseName',
      'ReceivedRequest',
      'Reply',
      'ReplySource',
      'ServerOptions',
      'StreamBody',
      'TestServer',
      'WireFormat',
      'WireFormatName',
    ],
  },
  'unbusy/embedded': { values: ['embedded'], types: ['EmbeddedOptions'] },
  'unbusy/redis': { values: ['redisHealth'], types: ['IoRedisClient', 'NodeRedisClient', 'RedisClient', 'RedisHealthOptions'] },
} as const

test('every entry of package.json has its list', () => {
  const published = Object.keys(packageJson.exports).filter(path => path !== './package.json')
  expect(published.map(path => `unbusy${path.slice(1)}`)).toEqual(Object.keys(entries))
})

describe.each(Object.entries(entries))('%s', (name, { values, types }) => {
  test('exports these values', async () => {
    const module = (await import(name)) as object
    expect(Object.keys(module).toSorted()).toEqual(values)
  })

  test('exports these types', () => {
    const path = `.${name.slice('unbusy'.length)}` as keyof typeof packageJson.exports
    const source = packageJson.exports[path] as { readonly 'unbusy-source': string }
    expect(exportedTypes(join(import.meta.dirname, '../..', source['unbusy-source']))).toEqual(types)
  })
})

/** The names behind `export type { ... }` and `export { type ... }` of a file that only re-exports. */
function exportedTypes(file: string): readonly string[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest)
  const names = source.statements.filter(ts.isExportDeclaration).flatMap(({ exportClause, isTypeOnly }) => {
    if (exportClause === undefined || !ts.isNamedExports(exportClause)) throw new Error(`${file}: exports are named one by one`)
    return exportClause.elements.filter(element => isTypeOnly || element.isTypeOnly).map(element => element.name.text)
  })
  return names.toSorted()
}
