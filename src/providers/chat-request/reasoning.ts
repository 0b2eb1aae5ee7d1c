import type { Reasoning } from '../../contract.ts'
import type { ReasoningSwitch } from '../chat-completions/dialect.ts'

/** Writes the option `reasoning: 'off' | 'low' | 'high' | 'max'` for each family of servers. Hosts refer to a family by name. */
export const reasoningSwitches = {
  /** DeepSeek's own: a switch and an effort. `reasoning_effort` alone would not turn on reasoning that is off by default. */
  deepseek: level =>
    level === 'off' ? { thinking: { type: 'disabled' } } : { thinking: { type: 'enabled' }, reasoning_effort: level },
  /** OpenAI, and servers that follow it. */
  effort: level => ({ reasoning_effort: level === 'off' ? 'none' : level }),
  /** Google's; there is no `max`. */
  gemini: level => ({ reasoning_effort: level === 'off' ? 'none' : level === 'max' ? 'high' : level }),
  /** NVIDIA NIM: `none`, `high` and `max`. */
  nvidia: level => ({ reasoning_effort: level === 'off' ? 'none' : level === 'low' ? 'high' : level }),
  /** Volcengine Ark: only a switch. */
  thinkingType: level => ({ thinking: { type: level === 'off' ? 'disabled' : 'enabled' } }),
  /** SiliconFlow: a switch and a token budget, which defaults to 4096. */
  siliconflow: level =>
    level === 'off' ? { enable_thinking: false } : { enable_thinking: true, thinking_budget: budgets[level] },
  /** DashScope: like SiliconFlow, but the default budget is the model's maximum, and a larger number is a 400. */
  dashscope: level => {
    if (level === 'off' || level === 'max') return { enable_thinking: level === 'max' }
    return { enable_thinking: true, thinking_budget: budgets[level] }
  },
  /**
   * Servers that run a model's own chat template. The author of a template chose the switch's name (`thinking` for DeepSeek,
   * `enable_thinking` for Qwen and most others), so both are set; a template ignores variables it does not use.
   */
  template: level => ({
    chat_template_kwargs: { thinking: level !== 'off', enable_thinking: level !== 'off' },
    ...effortUnlessOff(level),
  }),
  /** llama-server: `none` also stops its reasoning parser from expecting a thought. */
  llama: level => ({
    reasoning_effort: level === 'off' ? 'none' : level,
    chat_template_kwargs: { enable_thinking: level !== 'off' },
  }),
  /** OpenRouter's common form for all its models; `max` is called `xhigh`. */
  openrouter: level => ({ reasoning: level === 'off' ? { enabled: false } : { effort: level === 'max' ? 'xhigh' : level } }),
} satisfies Record<string, ReasoningSwitch>

export type ReasoningStyle = keyof typeof reasoningSwitches

/** Token budgets for reasoning. `max` is SiliconFlow's upper limit; the other two are our choice. */
const budgets = { low: 1024, high: 8192, max: 32_768 } as const satisfies Record<Exclude<Reasoning, 'off'>, number>

function effortUnlessOff(level: Reasoning): { reasoning_effort?: Reasoning } {
  return level === 'off' ? {} : { reasoning_effort: level }
}
