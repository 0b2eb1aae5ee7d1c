import type { TimeoutSettings } from '../contract.ts'
import type { DialectOptions } from './dialect-options.ts'
import { localTimeout } from './local-server.ts'

/** A host that serves models of other makers: how to reach it, and how its chat completions differ. */
export type Host = DialectOptions & {
  /** Undefined: each customer has a separate address, and must give it. */
  readonly baseURL?: string | undefined
  /** The environment variables that may hold the key. The first one that is set is used. Empty: no key is needed. */
  readonly keyVariables: readonly string[]
  /** The header that carries the key. @default 'authorization', as a bearer token */
  readonly keyHeader?: string | undefined
  /** The environment variables that may hold the address. */
  readonly addressVariables?: readonly string[] | undefined
  /** The path to append to an address of this host that has none: customers copy their address without it. */
  readonly defaultPath?: { readonly host: RegExp; readonly path: string } | undefined
  /** Clocks for this host, where the defaults do not suit it. */
  readonly timeout?: Partial<TimeoutSettings> | undefined
}

/** DeepSeek's models at other hosts: JSON mode without a schema, reasoning in its own field. */
const deepseekHost = {
  reasoningHistory: 'keep',
  capabilities: { output: 'json-object' },
} as const satisfies DialectOptions

/**
 * Data from the hosts' pages and public clients in November 2026. There are no model ids, because they change every month. An
 * option of the same name overrides each field.
 */
export const hosts = {
  siliconflow: {
    ...deepseekHost,
    baseURL: 'https://api.siliconflow.com/v1',
    keyVariables: ['SILICONFLOW_API_KEY'],
    reasoningStyle: 'siliconflow',
    failureRules: [
      { code: 50_508, reason: 'overloaded' },
      { code: 20_012, reason: 'not-found' },
      { code: 30_001, reason: 'quota' },
    ],
  },
  'siliconflow-cn': {
    ...deepseekHost,
    baseURL: 'https://api.siliconflow.cn/v1',
    keyVariables: ['SILICONFLOW_CN_API_KEY', 'SILICONFLOW_API_KEY'],
    reasoningStyle: 'siliconflow',
    failureRules: [
      { code: 50_508, reason: 'overloaded' },
      { code: 20_012, reason: 'not-found' },
      { code: 30_001, reason: 'quota' },
    ],
  },
  volcengine: {
    ...deepseekHost,
    baseURL: 'https://ark.cn-beijing.volces.com/api/v3',
    keyVariables: ['ARK_API_KEY'],
    reasoningStyle: 'thinkingType',
  },
  alibaba: {
    ...deepseekHost,
    baseURL: 'https://dashscope.aliyuncs.com/compatible-mode/v1',
    keyVariables: ['DASHSCOPE_API_KEY'],
    reasoningStyle: 'dashscope',
  },
  // a key is bound to its region and gives a 401 in the other
  'alibaba-international': {
    ...deepseekHost,
    baseURL: 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
    keyVariables: ['DASHSCOPE_API_KEY'],
    reasoningStyle: 'dashscope',
  },
  tencent: {
    ...deepseekHost,
    baseURL: 'https://tokenhub.tencentmaas.com/v1',
    keyVariables: ['TENCENT_TOKENHUB_API_KEY'],
    reasoningStyle: 'thinkingType',
  },
  openrouter: {
    baseURL: 'https://openrouter.ai/api/v1',
    keyVariables: ['OPENROUTER_API_KEY'],
    reasoningStyle: 'openrouter',
    reasoningHistory: 'keep',
    reasoningField: 'reasoning',
    failureRules: [{ status: 403, message: /moderation|flagged/i, reason: 'content-filter' }],
  },
  together: {
    baseURL: 'https://api.together.ai/v1',
    keyVariables: ['TOGETHER_API_KEY'],
    // this host answers 403 to a conversation that is too long, whatever its message; a bad key is a 401
    failureRules: [{ status: 403, reason: 'context-length' }],
  },
  fireworks: {
    ...deepseekHost,
    capabilities: { output: 'json-schema' },
    baseURL: 'https://api.fireworks.ai/inference/v1',
    keyVariables: ['FIREWORKS_API_KEY'],
    reasoningStyle: 'effort',
  },
  azure: {
    keyVariables: ['AZURE_OPENAI_API_KEY', 'AZURE_API_KEY'],
    addressVariables: ['AZURE_OPENAI_ENDPOINT'],
    defaultPath: { host: /\.azure\.(?:com|us|cn)$/, path: '/openai/v1' },
    toolCallIds: 'short',
    keyHeader: 'api-key',
    reasoningStyle: 'effort',
    capabilities: { hidesReasoning: true },
  },
  nvidia: {
    ...deepseekHost,
    baseURL: 'https://integrate.api.nvidia.com/v1',
    keyVariables: ['NVIDIA_API_KEY'],
    reasoningStyle: 'nvidia',
  },
  groq: {
    baseURL: 'https://api.groq.com/openai/v1',
    keyVariables: ['GROQ_API_KEY'],
    tokenLimit: 'max_completion_tokens',
    reasoningStyle: 'effort',
  },
  mistral: { baseURL: 'https://api.mistral.ai/v1', keyVariables: ['MISTRAL_API_KEY'], toolCallIds: 'nine' },
  novita: { ...deepseekHost, baseURL: 'https://api.novita.ai/openai', keyVariables: ['NOVITA_API_KEY'] },
  deepinfra: {
    ...deepseekHost,
    baseURL: 'https://api.deepinfra.com/v1/openai',
    keyVariables: ['DEEPINFRA_API_KEY'],
    reasoningStyle: 'effort',
  },
  huggingface: { baseURL: 'https://router.huggingface.co/v1', keyVariables: ['HF_TOKEN'] },
  baseten: { baseURL: 'https://inference.baseten.co/v1', keyVariables: ['BASETEN_API_KEY'] },
  'github-models': {
    baseURL: 'https://models.github.ai/inference',
    keyVariables: ['GITHUB_TOKEN'],
    toolCallIds: 'short',
    reasoningStyle: 'effort',
    capabilities: { hidesReasoning: true },
  },
  gemini: {
    baseURL: 'https://generativelanguage.googleapis.com/v1beta/openai',
    keyVariables: ['GEMINI_API_KEY'],
    reasoningStyle: 'gemini',
    capabilities: { hidesReasoning: true },
  },
  vercel: {
    baseURL: 'https://ai-gateway.vercel.sh/v1',
    keyVariables: ['AI_GATEWAY_API_KEY', 'VERCEL_OIDC_TOKEN'],
    reasoningField: 'reasoning',
  },
  modelscope: { ...deepseekHost, baseURL: 'https://api-inference.modelscope.cn/v1', keyVariables: ['MODELSCOPE_API_KEY'] },
  'lm-studio': { baseURL: 'http://127.0.0.1:1234/v1', keyVariables: [], timeout: localTimeout },
  'ollama-cloud': { baseURL: 'https://ollama.com/v1', keyVariables: ['OLLAMA_API_KEY'], reasoningStyle: 'effort' },
} as const satisfies Readonly<Record<string, Host>>

/** The hosts that `host()` knows. */
export type HostName = keyof typeof hosts
