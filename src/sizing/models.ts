/** The data of an open-weight model that determines its size on a server. File sizes are in decimal GB, as on model hubs. */
export type Model = {
  /** The name for the command `size`. */
  readonly name: string
  /** The id on the model hub, with which servers are started. */
  readonly hubId: string
  /** Common spellings besides the name and the hub id, in lower case without hyphens. */
  readonly aliases: readonly string[]
  /** Parameters in billions: the total, and those active per token. */
  readonly total: number
  readonly active: number
  readonly layers: number
  /** Attention heads, which must be divisible by the tensor parallelism. `undefined`: not published. */
  readonly heads: number | undefined
  /** KV cache heads, which tensor parallelism can divide. `undefined`: one latent for all heads, which every rank keeps completely. */
  readonly kvHeads: number | undefined
  /** Bytes of KV cache per token in the whole model, with 16 and with 8 bits. */
  readonly kvBytes: Readonly<Record<KvPrecision, number>>
  /** The longest context according to the model's configuration. */
  readonly context: number
  /** File sizes in decimal GB, by precision. The first one is the vendor's own format. */
  readonly files: Readonly<Record<string, number>>
  /** For a mixture of experts. GB are those of the published files. */
  readonly experts?: {
    /** The share of the experts that is active per token. */
    readonly share: number
    /** The experts, which are distributed over all GPUs, also by data parallelism. */
    readonly expertsGB: number
    /** Attention and everything else, which data parallelism copies. */
    readonly sharedGB: number
  }
  /** Facts about the model on a certain GPU that the formulas do not cover, by the GPU's name. */
  readonly notes?: Readonly<Record<string, string>>
  readonly source: string
  /** When the figures were looked up. */
  readonly date: string
}

export type KvPrecision = '16' | '8'

const date = '2026-11-30'
const million = 1_048_576

/** R1 and the V3 family: 671B parameters, 37B of them active per token; each layer has one latent of 512 and a rope key of 64. */
const v3 = {
  ...{ total: 671, active: 37, layers: 61, heads: 128, kvHeads: undefined, context: 163_840, date },
  kvBytes: { 16: 70_272, 8: 35_136 },
  // the files include the multi-token-prediction module (14B), which is only loaded for speculative decoding
  experts: { share: 8 / 256, expertsGB: 654, sharedGB: 17 },
}

// FP8 as published: 641.3 GiB of safetensors
const v3Files = { fp8: 688.6, bf16: 1_340, awq: 350, nvfp4: 336, int8: 689, q4_k_m: 404 }

const big: readonly Model[] = [
  {
    ...{ name: 'deepseek-r1', hubId: 'deepseek-ai/DeepSeek-R1-0528', ...v3 },
    aliases: ['r1', 'r1671b', 'deepseekr1', 'deepseekr10120', 'r10528'],
    files: { ...v3Files, '1.58bit': 131, '1.73bit': 158, '2.22bit': 183, '2.51bit': 212 },
    source: 'DeepSeek-V3 config_671B.json, safetensors on the hub, unsloth.ai/blog/deepseekr1-dynamic',
  },
  {
    ...{ name: 'deepseek-v3', hubId: 'deepseek-ai/DeepSeek-V3-0324', ...v3 },
    aliases: ['v3', 'v3671b', 'v30324', 'deepseekv3'],
    files: v3Files,
    source: 'DeepSeek-V3 config_671B.json, safetensors on the hub',
  },
  {
    ...{ name: 'deepseek-v3.1', hubId: 'deepseek-ai/DeepSeek-V3.1', ...v3 },
    aliases: ['v31', 'v31terminus'],
    files: v3Files,
    source: 'DeepSeek-V3 config_671B.json, safetensors on the hub',
  },
  {
    ...{ name: 'deepseek-v3.2', hubId: 'deepseek-ai/DeepSeek-V3.2', ...v3 },
    aliases: ['v32', 'v32exp'],
    // includes the indexer's key of 128: 61 x (576 + 128) x 2
    kvBytes: { 16: 85_888, 8: 42_944 },
    files: { fp8: 690, nvfp4: 336 },
    source: 'DeepSeek-V3.2-Exp inference/config_671B_v3.2.json',
  },
  {
    ...{ name: 'deepseek-v4-flash', hubId: 'deepseek-ai/DeepSeek-V4-Flash', aliases: ['v4flash', 'v4flash0731'] },
    ...{ total: 284, active: 13, layers: 43, heads: 64, kvHeads: undefined, context: million, date },
    // the configuration gives 6,880; a vLLM log with an FP8 cache shows 7.1 KB, because block padding cancels the savings of 8 bits
    kvBytes: { 16: 7_200, 8: 7_200 },
    files: { fp4: 160, q4_k_m: 168, '2bit': 87 },
    experts: { share: 6 / 256, expertsGB: 153, sharedGB: 7 },
    source: 'vLLM recipes, transformers configuration_deepseek_v4.py, NVIDIA forum 370416; experts computed from 13B of 284B',
  },
  {
    ...{ name: 'deepseek-v4-pro', hubId: 'deepseek-ai/DeepSeek-V4-Pro', aliases: ['v4pro', 'v4pro0813'] },
    ...{ total: 1_600, active: 49, layers: 61, heads: undefined, kvHeads: undefined, context: million, date },
    kvBytes: { 16: 9_848, 8: 9_848 },
    files: { fp4: 865 },
    notes: {
      h200: "On 8 H200 vLLM's recipe runs it only with --max-model-len 200000 --gpu-memory-utilization 0.95 --max-num-seqs 16.",
    },
    experts: { share: 37 / 1_588, expertsGB: 853, sharedGB: 12 },
    source: 'vLLM blog 2026-04-24, vLLM recipes; experts computed from 49B of 1.6T',
  },
  {
    ...{ name: 'deepseek-v4.1-flash', hubId: 'deepseek-ai/DeepSeek-V4.1-Flash' },
    aliases: ['v41flash', 'v41flash0909', 'v41flash1017', 'deepseekflash'],
    ...{ total: 748, active: 16, layers: 40, heads: undefined, kvHeads: undefined, context: million, date },
    kvBytes: { 16: 890, 8: 890 },
    files: { mxfp4: 511 },
    experts: { share: 6 / 384, expertsGB: 495, sharedGB: 16 },
    source: 'vLLM recipes 2026-09; the tables of the Engram are counted as spread; experts computed from 16B of 748B',
  },
]

type Distill = {
  readonly base: string
  readonly hubId?: string
  readonly aliases: readonly string[]
  readonly billions: number
  /** Layers, attention heads and KV cache heads. */
  readonly shape: readonly [layers: number, heads: number, kvHeads: number]
  readonly bf16: number
  readonly q4: number
}

const distills: readonly Distill[] = [
  { base: 'qwen-1.5b', aliases: ['r11.5b'], billions: 1.78, shape: [28, 12, 2], bf16: 3.6, q4: 1.1 },
  { base: 'qwen-7b', aliases: ['r17b'], billions: 7.6, shape: [28, 28, 4], bf16: 15, q4: 4.7 },
  { base: 'llama-8b', aliases: [], billions: 8.03, shape: [32, 32, 8], bf16: 16, q4: 4.9 },
  { base: 'qwen-14b', aliases: ['r114b'], billions: 14.8, shape: [48, 40, 8], bf16: 30, q4: 9 },
  { base: 'qwen-32b', aliases: ['r132b'], billions: 32.8, shape: [64, 40, 8], bf16: 66, q4: 20 },
  { base: 'llama-70b', aliases: ['r170b'], billions: 70.6, shape: [80, 64, 8], bf16: 141, q4: 43 },
  {
    ...{ base: '0528-qwen3-8b', hubId: 'deepseek-ai/DeepSeek-R1-0528-Qwen3-8B', aliases: ['r18b', 'qwen38b', 'r10528qwen38b'] },
    ...{ billions: 8.19, shape: [36, 32, 8], bf16: 16, q4: 5.2 },
  },
]

/** Known models, each with the source and date of its data, which may be out of date. */
export const models: readonly Model[] = [...big, ...distills.map(distilled)]

function distilled({ base, hubId, aliases, billions, shape: [layers, heads, kvHeads], bf16, q4 }: Distill): Model {
  const kvBytes = 2 * layers * kvHeads * 128 * 2
  const words = base.split('-').map(word => word[0]?.toUpperCase() + word.slice(1))
  return {
    name: `deepseek-r1-distill-${base}`,
    hubId: hubId ?? `deepseek-ai/DeepSeek-R1-Distill-${words.join('-').replace(/b$/, 'B')}`,
    aliases: [...aliases, base.replaceAll('-', '')],
    ...{ total: billions, active: billions, layers, heads, kvHeads, context: 131_072, date },
    kvBytes: { 16: kvBytes, 8: kvBytes / 2 },
    // including scales, 8 bits take 1.03 bytes per parameter and 4 bits take 0.58; in GGUF 8 bits are 8.5
    files: {
      bf16,
      fp8: round(billions * 1.03),
      int8: round(billions * 1.03),
      awq: round(billions * 0.58),
      q4_k_m: q4,
      q8_0: round(billions * 1.0625),
    },
    source: 'config.json on the hub, tag pages of the Ollama library',
  }
}

function round(gigabytes: number): number {
  return Math.round(gigabytes * 10) / 10
}
