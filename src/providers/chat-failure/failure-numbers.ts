/** The numbers in a server's error text. All are tokens; each is undefined when the text does not give it. */
export type FailureNumbers = {
  /** The model's context: input and output together, or the input alone when the server limits only that. */
  readonly contextTokens: number | undefined
  /** The requested total: input and output together, or the input alone when no output is given. */
  readonly requestedTokens: number | undefined
  readonly inputTokens: number | undefined
  /** The requested output. */
  readonly outputTokens: number | undefined
  /** The model's maximum output for one answer, independent of the input. */
  readonly outputCeiling: number | undefined
  /** The output that the account's balance can pay for. */
  readonly affordableTokens: number | undefined
  /** The output that fits beside this input. At least 1, otherwise undefined. */
  readonly roomTokens: number | undefined
}

/**
 * Extracts the numbers. Each known wording is one row below, and a new wording is a new row. The text is normalized first (lower
 * case, no quotes, no separators within numbers), so that rows need not handle spelling variants.
 */
export function failureNumbers(text: string): FailureNumbers {
  const words = plain(text)
  const named = numbersIn(words)
  const outputTokens = named.output
  const total = named.total ?? sumOf(named.input, outputTokens)
  // a total also covers parts that are not itemized: functions, images
  const inputTokens = named.input ?? (outputTokens === undefined ? undefined : difference(named.total, outputTokens))
  const contextTokens = named.context
  return {
    contextTokens,
    requestedTokens: total,
    inputTokens,
    outputTokens,
    outputCeiling: named.ceiling,
    affordableTokens: named.affordable,
    roomTokens: named.room ?? difference(contextTokens, wholeInput(named)),
  }
}

type What = 'context' | 'input' | 'output' | 'total' | 'ceiling' | 'affordable' | 'room'
type Named = { [what in What]?: number | undefined }
/** The groups capture the numbers. Several numbers for the same `what` are added up. No `g` flag. */
type Row = readonly [pattern: RegExp, ...what: What[]]

/** The names that servers use for the output limit. */
const limitName = String.raw`(?<!\+ )max_?(?:completion_?|output_?|new_?)?tokens\b|num_predict\b|max output tokens|output token limit`

/**
 * Each number comes from the first row that matches it, so rows for whole sentences precede rows for a few words. No row may
 * match beyond its own sentence or nest repetitions, so that the cost stays linear in the length of the text.
 */
const rows: readonly Row[] = [
  // Anthropic's form: "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"
  [/exceed context limit: (\d+) \+ (\d+) > (\d+)/, 'input', 'output', 'context'],
  // "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for ..."
  [/max_tokens: (\d+) > (\d+), which is the maximum/, 'output', 'ceiling'],
  // vLLM: "max_tokens is too large: 5000. This model's maximum context length is 4096 tokens and ... has 20 input tokens (5000 > 4096 - 20)"
  [/\((\d+) > (\d+) - (\d+)\)/, 'output', 'context', 'input'],
  // vLLM 0.32: "max_tokens=4000 cannot be greater than max_model_len=2048"
  [/max_tokens=(\d+) cannot be greater than max_model_len=(\d+)/, 'output', 'ceiling'],
  // "prompt is too long: 208310 tokens > 200000 maximum"
  [/too long: (\d+)(?: tokens)? > (\d+) max/, 'input', 'context'],
  // Kimi: "exceeded model token limit: 262144 (requested: 269030)"
  [/token limit: (\d+) \(requested: (\d+)/, 'context', 'total'],
  // GitHub Copilot: "prompt token count of 130000 exceeds the limit of 128000"
  [/\b(?:input|prompt) token count of (\d+) exceeds the limit of (\d+)/, 'input', 'context'],
  // Mistral: "Prompt contains 65673 tokens ..., too large for model with 32768 maximum context length"
  [/\bprompt contains (\d+) tokens\b[^.]{0,60}\bwith (\d+) maximum context length/, 'input', 'context'],
  // OpenAI and Groq, limits per minute: "Limit 7000, Used 120, Requested 12903"
  [/\blimit:? (\d+),(?: used:? \d+,)? requested:? (\d+)/, 'context', 'total'],
  // Cerebras: "Current length is 8193 while limit is 8192"
  [/current length is (\d+) while limit is (\d+)/, 'input', 'context'],
  // watsonx: "the number of input tokens 600 cannot exceed the total tokens limit 2048 for this model"
  [/input tokens (\d+) cannot exceed the total tokens limit (\d+)/, 'input', 'context'],
  // LM Studio: "n_keep: 5000>= n_ctx: 4096"
  [/n_keep: (\d+) ?>= ?n_ctx: (\d+)/, 'input', 'context'],
  // TGI: "inputs tokens + max_new_tokens must be <= 4096. Given: 600 inputs tokens and 4000 max_new_tokens"
  [/given: (\d+) inputs(?: tokens)? and (\d+) max_new_tokens/, 'input', 'output'],
  [/inputs tokens \+ max_new_tokens must be <= (\d+)/, 'context'],
  // SiliconFlow: "max_total_tokens (40000) must be less than or equal to max_seq_len (32768)"
  [/max_total_tokens \((\d+)\) must be less than or equal to max_seq_len \((\d+)\)/, 'total', 'context'],
  // TensorRT-LLM: "The sum of prompt length (600.0) and max_tokens (4000) should not exceed max_seq_len (4096)"
  [/prompt length \((\d+)[^()]{0,60}max_tokens \((\d+)/, 'input', 'output'],
  // Google: "a maxOutputTokens value of 100000 but the supported range is from 1 (inclusive) to 65537 (exclusive)"
  [
    /maxoutputtokens value of (\d+) but the supported range is from \d+ \(inclusive\) to (\d+) \(inclusive\)/,
    'output',
    'ceiling',
  ],

  // OpenRouter: "You requested up to 65536 tokens, but can only afford 30104"
  [/requested up to (\d+) tokens,? but can only afford (\d+)/, 'output', 'affordable'],
  [/\bafford(?: only| up to| at most)? (\d+)/, 'affordable'],
  [
    /\b(?:credits?|balance|funds) (?:for|covers?|pays? for|suffices? for)(?: only| up to| at most)? (\d+) (?:output |completion )?tokens/,
    'affordable',
  ],

  // OpenAI: "This model supports at most 16384 completion tokens, whereas you provided 32000"
  [
    /at most (\d+) (?:completion|output|new) tokens,? (?:whereas|but|and) you (?:provided|requested|asked for) (\d+)/,
    'ceiling',
    'output',
  ],
  [/(?:at most|up to|only|(?:a )?maximum of|limited to) (\d+) (?:completion|output|new|generated) tokens/, 'ceiling'],
  [
    /max(?:imum)?(?: allowed| number of| supported)* (?:completion|output|new|generated|generation)(?: tokens?| length)*(?: allowed| supported)?(?: is| of|:| =)? (\d+)/,
    'ceiling',
  ],
  [new RegExp(String.raw`max(?:imum)? (?:allowed )?(?:value )?(?:for|of) (?:${limitName})(?: is|:)? (\d+)`), 'ceiling'],
  // "max_tokens 2000 is greater than the limit of 1500", "value 2000 exceeds maximum 1500"
  [
    new RegExp(
      String.raw`(?:${limitName})(?::|=)? ?(?:value |of )*\(?(\d+)\)? (?:exceeds|is (?:greater|larger|more|higher) than|is (?:above|over)) (?![^\d.+]{0,40}context)[^\d.+]{0,40}(?:max(?:imum)?|limit|most)[^\d.+]{0,20}(\d+)`,
    ),
    'output',
    'ceiling',
  ],
  [
    /max tokens (?:must|should|may|can|cannot)[^\d.+]{0,40}(?:equal to|at most|exceed|(?:greater|larger|more) than|up to) (\d+)/,
    'ceiling',
  ],
  [
    new RegExp(
      String.raw`(?:${limitName})[^\d。，]{0,20}?，?(?:不能超过|不得超过|不可超过|不超过|不能大于|小于等于|小于或等于|最大值?(?:为|是)?|上限(?:为|是)?|最多(?:为)?)[:：]? ?(\d+)`,
    ),
    'ceiling',
  ],
  [new RegExp(String.raw`(?:${limitName})[^\d。，]{0,20}?范围[^\d。，]{0,6}\d+ ?[-~～到至] ?(\d+)`), 'ceiling'],
  [new RegExp(String.raw`(?:${limitName}) (?:is )?too large,? max(?:imum)?(?: allowed| value)*(?: is|:)? (\d+)`), 'ceiling'],
  [/最大(?:输出|生成|回复)(?:长度|token数?|tokens?)*(?:为|是|：|:)? ?(\d+)/, 'ceiling'],
  [/您?(?:请求了|请求的|传入了|当前值(?:为|是)?) ?(\d+)/, 'output'],
  // without the name, that is the length of the prompt
  [new RegExp(String.raw`(?:${limitName})[^。]{0,60}输入了 ?(\d+)`), 'output'],
  [/maximum tokens you requested exceeds the model limit of (\d+)/, 'ceiling'],
  // OpenAI and Ark, after the field's name: "expected a value <= 4096, but got 32000 instead"
  [new RegExp(String.raw`(?:${limitName})[^]{0,120}?expected a value <= (\d+),? but got (\d+)`), 'ceiling', 'output'],
  [new RegExp(String.raw`(?:${limitName})[^]{0,120}?(?:expected a value|should be|must be) (?:<=|≤) ?(\d+)`), 'ceiling'],
  // DeepSeek: "the valid range of max_tokens is [1, 8192]"; Alibaba: "Range of max_tokens should be [1, 8192]"
  [new RegExp(String.raw`(?:${limitName})[^\d.([{]{0,60}[[(] ?\d+ ?, ?(\d+) ?\]`), 'ceiling'],
  [new RegExp(String.raw`\[ ?\d+ ?, ?(\d+) ?\][^\d.]{0,20}(?:${limitName})`), 'ceiling'],
  [new RegExp(String.raw`(?:${limitName})[^\d.+]{0,60}(?:between|from) \d+ (?:and|to) (\d+)`), 'ceiling'],
  // "must be in 1..8192"
  [new RegExp(String.raw`(?:${limitName})[^\d.+]{0,40}\d+\.{2,3}(\d+)`), 'ceiling'],
  // "Invalid value for max_tokens: 32000. It must be between 1 and 8192 inclusive."
  [
    new RegExp(
      String.raw`(?:${limitName}):? (\d+)[.,;]? (?:it |the value |value )?(?:must|should|has to|needs to) be (?:between \d+ and|from \d+ to|at most|no more than|less than or equal to|<=) (\d+)`,
    ),
    'output',
    'ceiling',
  ],
  [
    new RegExp(
      String.raw`(?:${limitName})(?: \(?\d+\)?)?[^\d.+]{0,60}(?:less than or equal to|at most|not exceed|not be (?:greater|larger|more) than|no more than|up to|maximum(?: value)?(?: of| is)?):? (\d+)`,
    ),
    'ceiling',
  ],

  // OpenAI, DeepSeek, OpenRouter: "(1000 in the messages, 200 in the functions, and 4000 in the completion)"
  [/(\d+)(?: tokens)? (?:in|from|of) (?:the |your )?(?:input |text )?(?:messages?|prompt|input)\b/, 'input'],
  [/(\d+)(?: tokens)? (?:in|for|of) (?:the |your )?(?:completion|output|response|answer)\b/, 'output'],
  // vLLM: "requested 65535 output tokens and your prompt contains at least 62466 input tokens"
  [/(?:requested|asked for|and|plus) (?:about |up to )?(\d+) (?:output|completion|new|generated) tokens/, 'output'],
  [/(?:output|completion|new|generated) tokens (?:requested|asked for)?(?:is|are|=|:)? ?(\d+)/, 'output'],
  [/(?:whereas|but) you (?:provided|requested|asked for) (\d+)/, 'output'],
  [new RegExp(String.raw`(?:${limitName})(?: is too large:?| of| value of| is| was| =|=|:)? ?\(?(\d+)`), 'output'],
  [/(\d+) (?:input|prompt) tokens/, 'input'],
  [/输入(?:长度|token数?|tokens?)*(?:为|是|：|:)? ?\(?(\d+)/, 'input'],
  [/\b(?:input|prompt) tokens?(?: count)?(?: is| are|:| =)? \(?(\d+)/, 'input'],
  [/(?<!max(?:imum)? )\b(?:input|prompt|request) (?:length (?:is |of |: )?\(?|\((?:length )?|of )(\d+)/, 'input'],
  [/\b(?:input|prompt) token (?:length|count)(?: is| of|:)? \(?(\d+)/, 'input'],
  [/\bprompt_tokens \((\d+)\)/, 'input'],
  [/\bmessages resulted in (\d+)/, 'input'],
  [/\b(?:too long|too large): (\d+)/, 'input'],
  [/\b(?:contains|has|passed)(?: at least| about)? (\d+) tokens/, 'input'],
  [/\b(?:keep the first|received|given:) (\d+)/, 'input'],

  // Cloudflare: "The estimated number of input and maximum output tokens (2600) exceeded this model context window limit (2048)"
  [/\binput and (?:maximum )?output tokens \((\d+)\)/, 'total'],
  [/\bfor a total of (?:at least |about )?(\d+)/, 'total'],
  [/\brequested (?:a total of |about |approximately )?(\d+) tokens/, 'total'],

  // "maximum context length is 8192 tokens", "... of 4096 tokens", "... (4096 tokens)", "is only 4096", "length 4096"
  [/\b(?:context|model|sequence) length(?: is| of|:)?(?: only)? \(?(\d+)/, 'context'],
  [
    /\bmax(?:imum)? (?:context|prompt|input|model|sequence|total) (?:length|size|tokens?)(?: is| of|:)?(?: only)? \(?(\d+)/,
    'context',
  ],
  // llama-server: "the available context size (2048 tokens)"
  [/\bcontext (?:size|window|limit)(?: size| limit| length)?(?: is| of|:)?(?: only)? \(?(\d+)/, 'context'],
  // "the configured limit of 272000 tokens", "the maximum allowed length (4090 tokens)", "maximum number of tokens allowed (1048575)"
  [/\b(?:configured limit|allowed length|number of tokens allowed|token limit)(?: is| of|:)? \(?(\d+)/, 'context'],
  [/\bmax(?:imum)? size: (\d+) tokens/, 'context'],
  [/\bmax_(?:seq_len|model_len|input_len|num_tokens|total_tokens|input_tokens)(?: is| of| =|=|:)? ?\(?(\d+)/, 'context'],
  [/\b(?:session_len|n_ctx|num_ctx)(?: is| of| =|=|:)? ?\(?(\d+)/, 'context'],
  [/(?:上下文|最大)(?:长度|窗口|限制)+(?:为|是|：|:)? ?\(?(\d+)/, 'context'],
  // Alibaba: "Range of input length should be [1, 30720]"
  [/\b(?:input|prompt) length[^\d.]{0,30}\[\d+, ?(\d+)\]/, 'context'],
  // TGI: "inputs must have less than 1024 tokens", Cohere: "tokens in prompt cannot exceed 4081"
  [/\binputs must have less than (\d+)/, 'context'],
  [/\bprompt (?:cannot|must not|may not) exceed (\d+)/, 'context'],

  [
    /\b(\d+) (?:output |completion )?tokens? (?:are |is )?(?:left|remaining|available) for (?:the )?(?:completion|output|answer|response)/,
    'room',
  ],
  [/\broom (?:is left )?for (?:only )?(\d+) (?:output |completion )?tokens/, 'room'],
]

/** These give the first value that is too large, not the largest value allowed. */
const exclusive: readonly Row[] = [
  [
    /maxoutputtokens value of (\d+) but the supported range is from \d+ \(inclusive\) to (\d+) \(exclusive\)/,
    'output',
    'ceiling',
  ],
  [new RegExp(String.raw`(?:${limitName})[^\d.([{]{0,60}[[(] ?\d+ ?, ?(\d+) ?\)`), 'ceiling'],
  [new RegExp(String.raw`(?:${limitName})(?: \(?\d+\)?)?[^\d.+]{0,40}(?:be|is) (?:less|lower|smaller) than (\d+)`), 'ceiling'],
  [new RegExp(String.raw`(?:${limitName})[^]{0,120}?expected a value < ?(\d+)`), 'ceiling'],
  [new RegExp(String.raw`(?:${limitName})[^\d。，]{0,20}?小于 ?(\d+)`), 'ceiling'],
]

/** Parts of the input that are itemized separately: "190000 of text input, 300 of tool input", "200 in the functions". */
const otherInputs = /(\d+) (?:of tool input|of image input|in the functions|in the tools)\b/g

function numbersIn(words: string): Named {
  const named: Named = {}
  for (const row of exclusive) take(named, row, words)
  // the text gives the first value that is too large, so the limit is one less
  if (named.ceiling !== undefined) named.ceiling -= 1
  for (const row of rows) take(named, row, words)
  if (named.input === undefined) return named
  for (const [, digits] of words.matchAll(otherInputs)) named.input += Number(digits)
  return named
}

function take(named: Named, [pattern, ...whats]: Row, words: string): void {
  if (whats.every(what => named[what] !== undefined)) return
  const found = pattern.exec(words)
  if (found === null) return
  for (const [index, what] of whats.entries()) {
    const value = Number(found[index + 1])
    if (Number.isSafeInteger(value) && (value > 0 || what !== 'ceiling')) named[what] ??= value
  }
}

/** The input's share of the context. If the total exceeds the two named parts, it includes parts that are not itemized. */
function wholeInput({ input, output, total }: Named): number | undefined {
  const rest = output === undefined ? undefined : difference(total, output)
  return rest === undefined || input === undefined ? (input ?? rest) : Math.max(input, rest)
}

function sumOf(input: number | undefined, output: number | undefined): number | undefined {
  return input === undefined ? undefined : input + (output ?? 0)
}

function difference(whole: number | undefined, part: number | undefined): number | undefined {
  return whole === undefined || part === undefined || whole <= part ? undefined : whole - part
}

/** How much of a text is read. Servers give their numbers in the first sentences. */
const mostText = 4_000

/**
 * Normalizes a text: lower case, no quotes or emphasis, single spaces, and numbers without separators (1,048,576 and 1_048_576).
 */
function plain(text: string): string {
  return (
    text
      .slice(0, mostText)
      .toLowerCase()
      .replace(/(?<![\d.[])\d{1,3}(?:[,_\u00a0\u2009\u202f]\d{3}){1,4}(?![,_]?\d)/g, digits => digits.replace(/\D/g, ''))
      .replace(/(\d)\.0+\b/g, '$1')
      // "at most 8k", but not the name of a model: moonshot-v1-8k
      .replace(/(?<![\w.-])(\d{1,4})k\b(?!-)/g, '$1000')
      // too long to be a token count; left in, each row might search for digits from every position
      .replace(/\d{16,}/g, ' ')
      .replace(/[`'"“”‘’*]/g, '')
      .replace(/\s+/g, ' ')
  )
}
