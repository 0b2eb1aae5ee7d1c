import { describe, expect, test } from 'vitest'
import { deepseek } from '../../../src/providers/deepseek.ts'
import { llama } from '../../../src/providers/llama.ts'
import { ollama } from '../../../src/providers/ollama.ts'
import { openai } from '../../../src/providers/openai.ts'
import { openaiCompatible } from '../../../src/providers/openai-compatible.ts'
import { sglang } from '../../../src/providers/sglang.ts'
import { tensorrtLlm } from '../../../src/providers/tensorrt-llm.ts'
import { textGeneration } from '../../../src/providers/text-generation.ts'
import { vllm } from '../../../src/providers/vllm.ts'
import { providerContract } from '../../../src/testing/index.ts'
import type { ContractCase } from '../../../src/testing/index.ts'

const noTools = 'The service knows no tools.'
const noUsage = 'The service reports no usage.'
const oneJson = 'The service sends one JSON, which says nothing about why it ended.'

const suites: Record<string, readonly ContractCase[]> = {
  deepseek: providerContract(server => deepseek('deepseek-flash', server), { format: 'deepseek' }),
  'deepseek without a stream': providerContract(server => deepseek('deepseek-flash', { ...server, stream: false }), {
    format: 'deepseek',
  }),
  openai: providerContract(server => openai('gpt-6-luna', server), { format: 'openai' }),
  llama: providerContract(server => llama('r1', server), { format: 'llama' }),
  vllm: providerContract(server => vllm('r1', server), { format: 'vllm' }),
  sglang: providerContract(server => sglang('r1', server), { format: 'sglang' }),
  ollama: providerContract(server => ollama('r1', server), { format: 'ollama' }),
  'ollama without a stream': providerContract(server => ollama('r1', { ...server, stream: false }), { format: 'ollama' }),
  'tensorrt-llm': providerContract(server => tensorrtLlm('r1', server), { format: 'vllm' }),
  'openai-compatible': providerContract(server => openaiCompatible('r1', { name: 'mine', ...server }), { format: 'openai' }),
  'text-generation': providerContract(({ baseURL, apiKey }) => textGeneration({ baseURL, apiKey }), {
    format: 'text-generation',
    skip: { 'tool calls': noTools, usage: noUsage, length: oneJson },
  }),
}

describe.for(Object.entries(suites))('%s', ([, cases]) => {
  for (const { name, run } of cases.filter(({ skip }) => skip === undefined)) {
    test(`it ${name}`, async () => {
      await expect(run()).resolves.toBeUndefined()
    })
  }
})
