import type { Reasoning } from '../../contract.ts'
import type { ReasoningSwitch } from './dialect.ts'

/**
 * One option, `reasoning: 'off' | 'low' | 'high' | 'max'`, in the words of each kind of server. The names are the server families;
 * hosts refer to them by name.
 */
export const reasoningSwitches = {
  /** DeepSeek's own: a switch, and how much. `reasoning_effort` alone would leave a disabled default disabled. */
  deepseek: level =>
    level === 'off' ? { thinking: { type: 'disabled' } } : { thinking: { type: 'enabled' }, reasoning_effort: level },
  /** OpenAI and those who follow it. */
  effort: level => ({ reasoning_effort: level === 'off' ? 'none' : level }),
  /** Google's: no `max`. */
  gemini: level => ({ reasoning_effort: level === 'off' ? 'none' : level === 'max' ? 'high' : level }),
  /** NVIDIA NIM: `none`, `high` and `max`. */
  nvidia: level => ({ reasoning_effort: level === 'off' ? 'none' : level === 'low' ? 'high' : level }),
  /** Volcengine Ark: the switch only. */
  thinkingType: level => ({ thinking: { type: level === 'off' ? 'disabled' : 'enabled' } }),
  /** SiliconFlow: a switch, and a budget of tokens, without which it is 4096. */
  siliconflow: level =>
    level === 'off' ? { enable_thinking: false } : { enable_thinking: true, thinking_budget: budgets[level] },
  /** DashScope: the same; without a budget it is the most that the model has, and a number above that is a 400. */
  dashscope: level => {
    if (level === 'off' || level === 'max') return { enable_thinking: level === 'max' }
    return { enable_thinking: true, thinking_budget: budgets[level] }
  },
  /**
   * Servers that run a model's own chat template: the template's switch has the name that its author chose (`thinking` for
   * DeepSeek, `enable_thinking` for Qwen and most others), so both are set; a template ignores what it does not know.
   */
  template: level => ({
    chat_template_kwargs: { thinking: level !== 'off', enable_thinking: level !== 'off' },
    ...effortUnlessOff(level),
  }),
  /** llama-server: `none` there also stops the reasoning parser from waiting for a thought. */
  llama: level => ({
    reasoning_effort: level === 'off' ? 'none' : level,
    chat_template_kwargs: { enable_thinking: level !== 'off' },
  }),
  /** OpenRouter's common form for all models behind it; it knows no `max`. */
  openrouter: level => ({ reasoning: level === 'off' ? { enabled: false } : { effort: level === 'max' ? 'xhigh' : level } }),
} satisfies Record<string, ReasoningSwitch>

export type ReasoningStyle = keyof typeof reasoningSwitches

/** Tokens to think with. `max` is the most that SiliconFlow takes; the two others are ours. */
const budgets = { low: 1024, high: 8192, max: 32_768 } as const satisfies Record<Exclude<Reasoning, 'off'>, number>

function effortUnlessOff(level: Reasoning): { reasoning_effort?: Reasoning } {
  return level === 'off' ? {} : { reasoning_effort: level }
}
