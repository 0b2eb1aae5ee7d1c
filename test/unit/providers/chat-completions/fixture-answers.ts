import type { ReplayOptions, Summary } from './replay.ts'

/** What a caller would make of each recorded answer. Where the bytes come from: `test/fixtures/README.md`. */
export type FixtureAnswer = {
  /** What the fixture says, as the name of its test. */
  readonly says: string
  readonly gives: Summary
  readonly options?: ReplayOptions
}

const hit = { inputTokens: 17, cachedInputTokens: 64, outputTokens: 3, totalTokens: 20 }
const thought = { inputTokens: 17, cachedInputTokens: 0, outputTokens: 9, reasoningTokens: 5, totalTokens: 26 }
const openaiUsage = { inputTokens: 12, cachedInputTokens: 8, outputTokens: 70, reasoningTokens: 64, totalTokens: 82 }
const llamaUsage = { inputTokens: 46, cachedInputTokens: 45, outputTokens: 6, totalTokens: 52 }
const ollamaUsage = { inputTokens: 26, outputTokens: 298, totalTokens: 324 }
const ollamaTimes = ['loadMs', 'totalMs']
const print = ['system_fingerprint']
const timed = ['system_fingerprint', 'timings']
const tier = ['service_tier']
const hello = { text: 'Hello!', finish: 'stop', usage: hit, metadata: print }

export const fixtureAnswers: Readonly<Record<string, FixtureAnswer>> = {
  // ---- DeepSeek
  'deepseek-plain.sse': { says: 'text, with the usage on the last choice chunk', gives: hello },
  'deepseek-thinking.sse': {
    says: 'keep-alive comments, reasoning, text beyond ASCII (R45)',
    gives: {
      text: 'Grüß Gott 👋🏽, 世界',
      reasoning: 'The user greets.',
      finish: 'stop',
      usage: thought,
      metadata: print,
      queued: 2,
    },
  },
  'deepseek-tool-calls.sse': {
    says: 'two tool calls, one after the other',
    gives: {
      toolCalls: [
        { toolCallId: 'call_00_Qm7', toolName: 'weather', input: { city: 'Paris' } },
        { toolCallId: 'call_01_Xs2', toolName: 'time', input: { zone: 'CET' } },
      ],
      finish: 'tool-calls',
      usage: hit,
      metadata: print,
    },
  },
  'deepseek-tool-call-cut.sse': {
    says: 'a connection that ends in the middle of a tool call hands out no tool call (R126)',
    gives: { failure: 'truncated' },
  },
  'deepseek-insufficient-resource.sse': {
    says: 'insufficient_system_resource is an overload, not a stop (R28)',
    gives: { text: 'Hello!', failure: 'overloaded' },
  },
  'deepseek-aborted.sse': { says: 'aborted is a cut', gives: { text: 'Hello!', failure: 'truncated' } },
  'deepseek-cut.sse': {
    says: 'a clean end without finish reason and [DONE] is a cut (R37, R40, R41)',
    gives: { text: 'Hello!', failure: 'truncated' },
  },
  'deepseek-cut-in-event.sse': {
    says: 'an end in the middle of an event is a cut (R38)',
    gives: { text: 'Hello!', failure: 'truncated' },
  },
  'deepseek-done-without-finish.sse': {
    says: '[DONE] alone is no finish (R37)',
    gives: { text: 'Hello!', failure: 'truncated' },
  },
  'deepseek-done-without-newline.sse': { says: 'a last event without a line end is read (R42)', gives: hello },
  'deepseek-finish-without-done.sse': { says: 'a finish reason without [DONE] is enough', gives: hello },
  'deepseek-no-delta.sse': { says: 'the delta may be missing on the last frame', gives: hello },
  'deepseek-content-filter.sse': {
    says: 'a filter that left text is a finish, and says so',
    gives: { text: 'Hello!', finish: 'content-filter', usage: hit, metadata: print },
  },
  'deepseek-content-filter-at-once.sse': {
    says: 'a filter that left nothing is a failure',
    gives: { failure: 'content-filter' },
  },
  'deepseek-reasoning-only-length.sse': {
    says: 'reasoning that used up the limit is no answer (R39)',
    gives: { reasoning: 'The user greets.', failure: 'empty' },
  },
  'deepseek-reasoning-only-stop.sse': {
    says: 'reasoning without an answer is no answer (R39)',
    gives: { reasoning: 'The user greets.', failure: 'empty' },
  },
  'deepseek-json-mode-blank.sse': {
    says: 'blanks from JSON mode are no answer, and no content (R44)',
    gives: { failure: 'empty' },
  },
  'deepseek-empty.sse': { says: 'a stop without content is no answer (R28, R44)', gives: { failure: 'empty' } },
  'deepseek-keep-alive-then-close.sse': {
    says: 'keep-alives and then the end is an overload (R43)',
    gives: { queued: 3, failure: 'overloaded' },
  },
  'deepseek-broken-event.sse': {
    says: 'one broken event in the middle is malformed (R115)',
    gives: { text: 'Hello', failure: 'malformed-response' },
  },
  'deepseek-logprobs.sse': {
    says: 'log probabilities of reasoning and text are kept',
    gives: { text: 'Hi', reasoning: 'Hm', finish: 'stop', usage: hit, metadata: ['logprobs', 'system_fingerprint'] },
  },
  'deepseek-blank-lines.json': {
    says: 'blank lines before a JSON answer are signs of life',
    gives: { text: 'Hello!', reasoning: 'A greeting.', finish: 'stop', usage: thought, metadata: print, queued: 3 },
  },
  'deepseek-cut.json': { says: 'half a JSON document is a cut, never a value (R123)', gives: { failure: 'truncated' } },
  'deepseek-blank.json': { says: 'a blank 200 is an overload (R43)', gives: { queued: 5, failure: 'overloaded' } },
  'deepseek-fim.json': {
    says: 'the text of the older completions form',
    gives: { text: '    return a + b', finish: 'stop', usage: hit },
  },
  // ---- OpenAI and Azure
  'openai-plain.sse': {
    says: 'the usage on a chunk without choices',
    gives: { text: 'Hello.', finish: 'stop', usage: openaiUsage, metadata: tier },
  },
  'openai-tool-calls.sse': {
    says: 'two tool calls whose pieces are interleaved, one without any input (R125)',
    gives: {
      toolCalls: [
        { toolCallId: 'call_a', toolName: 'weather', input: { city: 'Rome' } },
        { toolCallId: 'call_b', toolName: 'now', input: {} },
      ],
      finish: 'tool-calls',
      usage: openaiUsage,
      metadata: tier,
    },
  },
  'openai-refusal.sse': { says: 'a refusal is what a filter would have done', gives: { failure: 'content-filter' } },
  'openai-function-call.sse': {
    says: 'the older function_call',
    gives: {
      toolCalls: [{ toolCallId: 'call_chatcmpl-Bk3_0', toolName: 'now', input: { zone: 'UTC' } }],
      finish: 'tool-calls',
      metadata: tier,
    },
  },
  'openai-answer.json': {
    says: 'an answer that is not a stream',
    gives: { text: 'Hello.', finish: 'stop', usage: openaiUsage, metadata: ['annotations', 'service_tier'] },
  },
  'azure-filter-report.sse': {
    says: 'a report of the filter before the first choice',
    gives: { text: 'Hello.', finish: 'stop', metadata: ['prompt_filter_results', 'service_tier'] },
  },
  // ---- llama-server
  'llama-stream.sse': {
    says: 'text cut by the token limit',
    gives: { text: '"Here?"', finish: 'length', usage: llamaUsage, metadata: timed },
  },
  'llama-stream-no-usage.sse': {
    says: 'a stream without usage has none, not 0',
    gives: { text: '"Here?"', finish: 'length', metadata: timed },
  },
  'llama-answer.json': {
    says: 'an answer that is not a stream',
    gives: { text: '"Here?"', finish: 'length', usage: llamaUsage, metadata: timed },
  },
  'llama-json-schema.sse': { says: 'JSON of a schema', gives: { text: '{ "ok" : false }', finish: 'stop', metadata: timed } },
  'llama-tool-call.sse': {
    says: 'a tool call in pieces',
    gives: {
      toolCalls: [{ toolCallId: 'SnErMNeDklWvoZcdE1r1dOSJ72yWFugN', toolName: 'weather', input: { warm: false, days: 2 } }],
      finish: 'tool-calls',
      usage: { inputTokens: 561, cachedInputTokens: 560, outputTokens: 61, totalTokens: 622 },
      metadata: timed,
    },
  },
  'llama-tool-call.json': {
    says: 'a tool call in one piece',
    gives: {
      toolCalls: [{ toolCallId: 'RTma2zFc8QSbtIh4Bd04o1miOIdqFzoi', toolName: 'weather', input: { warm: false, days: 2 } }],
      finish: 'tool-calls',
      usage: { inputTokens: 573, cachedInputTokens: 572, outputTokens: 44, totalTokens: 617 },
      metadata: timed,
    },
  },
  'llama-tool-call-cut.sse': {
    says: 'a second call cut by the token limit: neither is handed out (R125, R126)',
    gives: { failure: 'invalid-output' },
  },
  'llama-tool-call-cut.json': {
    says: 'an input cut after its first brace never becomes {} (R126)',
    gives: { failure: 'invalid-output' },
  },
  'llama-tool-call-lost-brace.sse': {
    says: 'an input whose first brace got lost is no input, whatever the finish reason (R126)',
    gives: { failure: 'invalid-output' },
  },
  'llama-reasoning-only.sse': {
    says: 'reasoning until the token limit (R39)',
    gives: { reasoning: '"Here?" A', failure: 'empty' },
  },
  'llama-logprobs.sse': {
    says: 'log probabilities',
    gives: { text: '"H', finish: 'length', metadata: ['logprobs', 'system_fingerprint', 'timings'] },
  },
  'llama-empty.sse': { says: 'a stop at once (R44)', gives: { failure: 'empty' } },
  'llama-empty.json': { says: 'a stop at once, as JSON (R44)', gives: { failure: 'empty' } },
  'llama-prompt-progress.sse': {
    says: 'reports on the prompt are signs of life',
    gives: { text: '"He', finish: 'length', metadata: timed, queued: 2 },
  },
  'llama-two-choices.sse': {
    says: 'of several interleaved choices the first is read',
    gives: { text: 'Su', finish: 'length', metadata: timed },
  },
  // ---- vLLM, SGLang, TensorRT-LLM, Ollama
  'vllm-reasoning.sse': {
    says: 'reasoning in `reasoning`',
    gives: {
      text: 'Four.',
      reasoning: 'Let me see.',
      finish: 'stop',
      usage: { inputTokens: 9, cachedInputTokens: 4, outputTokens: 6, totalTokens: 15 },
      metadata: ['stop_reason'],
    },
  },
  'vllm-error-then-done.sse': {
    says: 'an error and then [DONE] is an error (R1, R21)',
    gives: { text: 'Four', failure: 'server-error' },
  },
  'vllm-repetition.sse': {
    says: 'a model that was stopped because it repeats itself gave no answer',
    gives: { text: 'na na na na', failure: 'invalid-output' },
  },
  'vllm-abort.sse': { says: 'abort is a cut', gives: { text: 'Four', failure: 'truncated' } },
  'vllm-think-inline.sse': {
    says: 'tags in the content, cut anywhere; later tags of another kind are text',
    gives: { text: 'Four <b>4</b>.', reasoning: 'Two and two', finish: 'stop' },
    options: { thinkTags: true },
  },
  'think-not-a-tag.sse': {
    says: 'what only looks like a tag is text, to the last byte',
    gives: { text: ' <thinking> is not a tag, <think> neither', finish: 'stop' },
    options: { thinkTags: true },
  },
  'r1-think-unopened.sse': {
    says: 'a tag that the template has opened',
    gives: { text: 'Four.', reasoning: 'Two and two ', finish: 'stop' },
    options: { thinkTags: 'opened' },
  },
  'r1-think-unopened.json': {
    says: 'a tag that was never opened, seen because the text is whole',
    gives: { text: 'Four.', reasoning: 'Two and two.\n', finish: 'stop' },
    options: { thinkTags: true },
  },
  'sglang-reasoning.sse': {
    says: 'nulls everywhere, reasoning tokens at the top of the usage',
    gives: {
      text: 'Four.',
      reasoning: 'Easy.',
      finish: 'stop',
      usage: { inputTokens: 8, outputTokens: 6, reasoningTokens: 3, totalTokens: 14 },
      metadata: ['matched_stop'],
    },
  },
  'sglang-queue-full.sse': {
    says: 'a full queue as the first event of a 200 (R21, R27)',
    gives: { failure: 'overloaded' },
  },
  'sglang-flat-error-event.sse': {
    says: 'an error that is not inside `error` (R1)',
    gives: { failure: 'server-error' },
  },
  'ollama-reasoning.sse': {
    says: 'reasoning beside an empty content',
    gives: {
      text: 'Four.',
      reasoning: 'Okay, so.',
      finish: 'stop',
      usage: { inputTokens: 26, outputTokens: 298, totalTokens: 324 },
      metadata: print,
    },
  },
  'ollama-tool-calls.sse': {
    says: 'two whole tool calls in one delta',
    gives: {
      toolCalls: [
        { toolCallId: 'call_k1', toolName: 'weather', input: { city: 'Rome' } },
        { toolCallId: 'call_k2', toolName: 'now', input: {} },
      ],
      finish: 'tool-calls',
      metadata: print,
    },
  },
  // ---- Ollama's own format
  'ollama-native-thinking.ndjson': {
    says: 'thoughts in `thinking`, text beyond ASCII, figures of its own',
    gives: { text: 'Grüß Gott 👋🏽.', reasoning: 'Okay, so.', finish: 'stop', usage: ollamaUsage, metadata: ollamaTimes },
  },
  'ollama-native-think-inline.ndjson': {
    says: 'tags in the content, where the template is none that Ollama knows',
    gives: { text: 'Four.', reasoning: 'Two and two', finish: 'stop', usage: ollamaUsage, metadata: ollamaTimes },
    options: { thinkTags: true },
  },
  'ollama-native-think-unopened.ndjson': {
    says: 'a tag that was never opened, seen because the text is whole',
    gives: { text: 'Four.', reasoning: 'Two and two.\n', finish: 'stop', usage: ollamaUsage, metadata: ollamaTimes },
    options: { thinkTags: true },
  },
  'ollama-native-tool-calls.ndjson': {
    says: 'whole tool calls, one a line, ended with stop',
    gives: {
      toolCalls: [
        { toolCallId: 'call_k1', toolName: 'weather', input: { city: 'Rome' } },
        { toolCallId: 'call_k2', toolName: 'now', input: {} },
      ],
      finish: 'tool-calls',
      usage: ollamaUsage,
      metadata: ollamaTimes,
    },
  },
  'ollama-native-error-line.ndjson': {
    says: 'an error as one more line (R1, R21)',
    gives: { text: 'Fo', failure: 'server-error' },
  },
  'ollama-native-cut.ndjson': {
    says: 'an end before done hands out no tool call (R126)',
    gives: { failure: 'truncated' },
  },
  'ollama-native-thoughts-to-the-limit.ndjson': {
    says: 'thoughts that used up the limit are no answer (R39)',
    gives: { reasoning: 'Okay, so', failure: 'empty' },
  },
  'ollama-native-json-blanks.ndjson': {
    says: 'blanks of JSON mode are no answer, and no content (R44)',
    gives: { failure: 'empty' },
  },
  'ollama-native-loaded.ndjson': { says: 'a model that was only loaded has said nothing', gives: { failure: 'empty' } },
  'ollama-native-generate-raw.ndjson': {
    says: 'the text of /api/generate',
    gives: { text: ' a time, there', finish: 'stop', usage: ollamaUsage, metadata: ollamaTimes },
  },
  'trtllm-reasoning-twice.sse': {
    says: 'the same reasoning in two fields is told once',
    gives: { text: 'Four.', reasoning: 'Both', finish: 'stop', metadata: print },
  },
  // ---- hosts
  'openrouter-reasoning.sse': {
    says: 'CRLF, comments, reasoning in two fields, usage after the finish (R45)',
    gives: {
      text: 'Four.',
      reasoning: 'Let us.',
      finish: 'stop',
      usage: { inputTokens: 14, outputTokens: 5, totalTokens: 19 },
      metadata: ['native_finish_reason', 'provider'],
      queued: 2,
    },
  },
  'openrouter-details-only.sse': {
    says: 'reasoning only in reasoning_details',
    gives: { text: 'Four.', reasoning: 'Let us.', finish: 'stop', metadata: ['native_finish_reason', 'provider'] },
  },
  'openrouter-error-first.sse': {
    says: 'a rate limit of the upstream as the first event (R21, R27)',
    gives: { queued: 1, failure: 'rate-limit' },
  },
  'openrouter-error-midstream.sse': {
    says: 'an error beside a choice (R1, R21)',
    gives: { text: 'Fo', queued: 1, failure: 'server-error' },
  },
  'openrouter-choice-error.json': { says: 'an error inside the choice', gives: { failure: 'overloaded' } },
  'siliconflow-eos.sse': {
    says: 'finish reason eos, usage on every chunk',
    gives: { text: 'Four.', finish: 'stop', usage: { inputTokens: 5, outputTokens: 2, totalTokens: 7 }, metadata: print },
  },
  'siliconflow-busy.json': { says: 'a flat error with a 200', gives: { failure: 'overloaded' } },
  'stepfun-empty-finish.sse': {
    says: 'an empty finish reason is none',
    gives: { text: 'Four.', finish: 'stop', metadata: print },
  },
  'mistral-parts.sse': {
    says: 'content as a list of parts',
    gives: { text: 'Four.', reasoning: 'Easy.', finish: 'stop', metadata: print },
  },
  'modelscope-choices-null.json': { says: 'choices that are null', gives: { failure: 'empty' } },
  'moonshot-usage-in-choice.sse': {
    says: 'the usage inside the choice',
    gives: {
      text: 'Four.',
      finish: 'stop',
      usage: { inputTokens: 4, cachedInputTokens: 3, outputTokens: 2, totalTokens: 6 },
      metadata: print,
    },
  },
  'gemini-tool-calls-index-zero.sse': {
    says: 'tool calls that are all numbered 0 (R125)',
    gives: {
      toolCalls: [
        { toolCallId: 'fn-1', toolName: 'weather', input: { city: 'Rome' } },
        { toolCallId: 'fn-2', toolName: 'weather', input: { city: 'Oslo' } },
      ],
      finish: 'tool-calls',
      metadata: print,
    },
  },
  // ---- forms of no one in particular
  'tool-calls-without-index-or-id.sse': {
    says: 'tool calls without index and id, one with an object as input',
    gives: {
      toolCalls: [
        { toolCallId: 'call_0199a_0', toolName: 'weather', input: { city: 'Rome' } },
        { toolCallId: 'call_0199a_1', toolName: 'now', input: {} },
      ],
      finish: 'tool-calls',
      metadata: print,
    },
  },
  'choices-empty.sse': { says: 'a whole stream without a choice (R44)', gives: { failure: 'empty' } },
  'message-in-stream.sse': {
    says: 'a message where a delta should be',
    gives: { text: 'Four.', finish: 'stop', metadata: print },
  },
  'bom-and-cr.sse': { says: 'a byte order mark, and CR as the only line end', gives: hello },
  'anthropic-style-overloaded.sse': { says: 'an event that is called error (R1)', gives: { failure: 'overloaded' } },
  'proxy-page.html': { says: 'a page of a proxy with a 200', gives: { failure: 'malformed-response' } },
  'gateway-plain-text.txt': { says: 'plain text with a 200', gives: { failure: 'malformed-response' } },
  'unrelated.json': { says: 'JSON of something else', gives: { failure: 'malformed-response' } },
}
