import { deepseek, host, openai } from 'unbusy'
import type { GatewayConfig } from 'unbusy/gateway'

const flash = deepseek()

export default {
  routes: {
    chat: { chain: [flash, host('siliconflow', 'deepseek-ai/DeepSeek-V4-Flash'), openai('gpt-6-luna')] },
    careful: { chain: [deepseek('deepseek-v4-pro'), openai('gpt-6-sol')], timeout: { totalMs: 300_000 } },
  },
  keys: [process.env['SHOP_KEY'] ?? '', { key: process.env['BATCH_KEY'] ?? '', routes: ['chat'] }],
} satisfies GatewayConfig
