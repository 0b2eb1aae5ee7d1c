import { deepseek, llama, openai, sglang, vllm } from './dialects.ts'
import { ollama } from './ollama.ts'
import { textGeneration } from './text-generation.ts'
import type { WireFormat, WireFormatName } from './wire-format.ts'

const formats: Record<WireFormatName, WireFormat> = {
  deepseek,
  openai,
  llama,
  vllm,
  sglang,
  ollama,
  'text-generation': textGeneration,
}

export function wireFormatOf(format: WireFormatName | WireFormat): WireFormat {
  const found = typeof format === 'string' ? formats[format] : format
  if (found === undefined)
    throw new TypeError(
      `format: '${typeof format === 'string' ? format : typeof format}' is unknown. Write one of ${Object.keys(formats).join(', ')}, or pass a WireFormat.`,
    )
  return found
}
