import type { FixtureAnswer } from './fixture-answers.ts'

const metadata = ['system_fingerprint']
const eight = { inputTokens: 39, outputTokens: 8, totalTokens: 47 }
const length = { text: 'rrrrrrrr', finish: 'length' }
const city = { toolName: 'weather', input: { city: 'Oslo' } }
const litellm = ['service_tier', 'system_fingerprint']
const upstream = { inputTokens: 12, cachedInputTokens: 0, outputTokens: 3, reasoningTokens: 0, totalTokens: 15 }

const written = { text: '"Hi, A' }
const ollama = { inputTokens: 54, outputTokens: 6, totalTokens: 60 }
const times = ['loadMs', 'totalMs']

/** What vLLM 0.32, Ollama 0.17 and a LiteLLM proxy 1.108 sent, recorded by the tests of `test/real`. */
export const recordedAnswers: Readonly<Record<string, FixtureAnswer>> = {
  'vllm-real-stream.sse': { says: 'a stream with usage', gives: { ...length, usage: eight, metadata } },
  'vllm-real-stream-no-usage.sse': { says: 'a stream without usage', gives: { ...length, metadata } },
  'vllm-real-usage-on-each.sse': { says: 'usage that counts up: the last counts', gives: { ...length, usage: eight, metadata } },
  'vllm-real-answer.json': { says: 'an answer as JSON', gives: { ...length, usage: eight, metadata } },
  'vllm-real-stop.sse': { says: 'an answer that ends by itself', gives: { text: 'yes', finish: 'stop', metadata } },
  'vllm-real-empty.sse': { says: 'the end token at once', gives: { failure: 'empty' } },
  'vllm-real-empty.json': { says: 'the end token at once, as JSON', gives: { failure: 'empty' } },
  'vllm-real-two-choices.sse': { says: 'the first of two answers', gives: { text: 'lcr', finish: 'length', metadata } },
  'vllm-real-logprobs.sse': {
    says: 'text with its probabilities',
    gives: { text: 'rr', finish: 'length', metadata: ['logprobs', 'system_fingerprint'] },
  },
  'vllm-real-continue.sse': { says: 'only what follows the given text', gives: { text: 'crrrrrrr', finish: 'length', metadata } },
  'vllm-real-continue-as-thought.sse': {
    says: 'the rest of a text, which the parser takes for a thought',
    gives: { text: 'crrrrrrr', finish: 'length', metadata },
    options: { isAllText: true },
  },
  'vllm-real-continue-as-thought.json': {
    says: 'the rest of a text as JSON, which the parser takes for a thought',
    gives: { text: 'crrrrrrr', finish: 'length', usage: { ...thoughtOf(46, 8), reasoningTokens: 0 }, metadata },
    options: { isAllText: true },
  },
  'vllm-real-schema-refused.sse': { says: 'a refused schema inside a 200', gives: { failure: 'invalid-request' } },
  'vllm-real-busy.sse': { says: 'a full queue inside a 200', gives: { failure: 'overloaded' } },
  'vllm-real-stopping.sse': { says: 'SIGTERM in the middle of an answer', gives: { text: 'rrr', failure: 'server-error' } },
  'vllm-real-stopping-waiting.sse': { says: 'SIGTERM while the request waits', gives: { failure: 'server-error' } },
  'vllm-real-thinking.sse': {
    says: 'thought and text',
    gives: { reasoning: 'rrr', text: 'rrrrrr', finish: 'length', usage: thoughtOf(40, 10), metadata },
  },
  'vllm-real-thinking.json': {
    says: 'thought and text, as JSON',
    gives: { reasoning: 'rrr', text: 'rrrrrr', finish: 'length', usage: thoughtOf(40, 10), metadata },
  },
  'vllm-real-json.sse': {
    says: 'guided JSON behind a thought',
    gives: { reasoning: 'rrr', text: '{"sunny":true}', finish: 'stop', usage: thoughtOf(40, 19), metadata },
  },
  'vllm-real-json.json': {
    says: 'guided JSON behind a thought, as JSON',
    gives: { reasoning: 'rrr', text: '{"sunny":true}', finish: 'stop', usage: thoughtOf(40, 19), metadata },
  },
  'vllm-real-tool-call.sse': {
    says: 'a tool call behind a thought',
    gives: {
      ...{ reasoning: 'elp', finish: 'tool-calls', metadata },
      toolCalls: [{ toolCallId: 'chatcmpl-tool-b855c4c043e594c7', ...city }],
    },
  },
  'vllm-real-tool-named.sse': {
    says: 'a forced call with `true` for its input',
    gives: { reasoning: 'elp', failure: 'invalid-output' },
  },
  'vllm-real-tool-named.json': {
    says: 'a forced call with `true` for its input, as JSON',
    gives: { reasoning: 'elp', failure: 'invalid-output' },
  },

  'ollama-real-stream.ndjson': { says: 'a stream', gives: { ...written, finish: 'length', usage: ollama, metadata: times } },
  'ollama-real-answer.ndjson': { says: 'one answer', gives: { ...written, finish: 'length', usage: ollama, metadata: times } },
  'ollama-real-schema.ndjson': {
    says: 'JSON by schema',
    gives: {
      text: '{ "sunny" : false } ',
      finish: 'stop',
      usage: { inputTokens: 54, outputTokens: 21, totalTokens: 75 },
      metadata: times,
    },
  },
  'ollama-real-raw.ndjson': {
    says: 'the rest of a raw prompt',
    gives: {
      text: ', there was a',
      finish: 'length',
      usage: { inputTokens: 5, outputTokens: 4, totalTokens: 9 },
      metadata: times,
    },
  },
  'ollama-real-cut.ndjson': { says: 'SIGTERM in the middle of an answer', gives: { text: '"Hi', failure: 'truncated' } },

  'litellm-stream.sse': {
    says: 'a stream with usage',
    gives: { text: 'Hello from upstream.', finish: 'stop', usage: upstream, metadata: litellm },
  },
  'litellm-answer.json': {
    says: 'an answer as JSON',
    gives: { text: 'Hello from upstream.', finish: 'stop', usage: upstream, metadata: ['provider_specific_fields', ...litellm] },
  },
  'litellm-tool-call.sse': {
    says: 'a tool call',
    gives: { toolCalls: [{ toolCallId: 'call_000000050000000500000000', ...city }], finish: 'tool-calls', metadata: litellm },
  },
  'litellm-cut.sse': {
    says: 'a break of its upstream, told as an error',
    gives: { text: 'One two three ', failure: 'server-error' },
  },
  'litellm-cut-hidden.sse': {
    says: 'an upstream that ended early: a made-up stop, which nothing can tell from a real one',
    gives: { text: 'One two three ', finish: 'stop', metadata: litellm },
  },
  'litellm-busy-midstream.sse': { says: 'an error of its upstream', gives: { text: 'One two three ', failure: 'overloaded' } },
  'litellm-empty.sse': { says: 'a made-up stop for an upstream that sent nothing', gives: { failure: 'empty' } },
  'litellm-native-finish.json': {
    says: 'a stop that hides what its upstream said',
    gives: { text: 'One two.', failure: 'overloaded' },
  },
  'litellm-finish-made-up.json': {
    says: 'a made-up stop, and zeros that are no usage',
    gives: { text: 'One two.', finish: 'stop', metadata: ['provider_specific_fields', ...litellm] },
  },
  'litellm-filter.sse': { says: 'a filter', gives: { text: 'One two.', finish: 'content-filter', metadata: litellm } },
}

/** vLLM says that none of the tokens was thought, although some were: that is as good as nothing said. */
function thoughtOf(inputTokens: number, outputTokens: number) {
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens }
}
