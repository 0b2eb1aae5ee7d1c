import { chineseWordings } from './failure-wordings-chinese.ts'
import type { Row } from './failure-row.ts'
import { noStatus, refusals, rowsOf } from './wording-row.ts'
import type { Wording } from './wording-row.ts'

const aMinute = 60_000
/** Statuses under which services say that an account has nothing left. */
const unpaid = [...refusals, 401, 402, 409, 412, 429, 500]

/** Looked at in this order. Each wording counts only under the statuses where it decides something. */
const wordings: readonly Wording[] = [
  ['LiteLLM', 'rate-limit', [429], /no deployments available/i],
  ['R85', 'loading', [503, noStatus], /^loading model|model (?:\S{1,120} )?is (?:currently |still )?loading/i],
  // llama.cpp, and what runs on it, cannot read the tool call that the model began: the server is well (ggml-org/llama.cpp#26381).
  // Early in this list: older builds quote what the model wrote
  [
    'ggml-org/llama.cpp#26381',
    'invalid-output',
    [500, noStatus],
    /\bmodel produced output that does not match the expected\b|^failed to parse input at pos \d/i,
  ],
  ['F26', 'invalid-output', refusals, /failed to (?:call a function|validate json)\b.{0,80}failed_generation/i],

  // DeepSeek: "... exceeds your concurrency limit of 25 based on your remaining balance" is about requests, not about money
  ['R1.4', 'rate-limit', [...refusals, 429], /concurren\w{1,3} (?:request )?limit/i],
  ['R137', 'rate-limit', [...refusals, 429], /rate.?limit(?:ed)? (?:reached|exceeded)|too many (?:concurrent )?requests/i],
  [
    'F10',
    'rate-limit',
    [...refusals, 429],
    /\b(?:token|request)s? per (?:minute|second)\b|\b(?:TPM|RPM|QPS|QPM)\b.{0,40}(?:limit|exceed|reached)/i,
    { atMostMs: aMinute },
  ],

  [
    'F32',
    'invalid-request',
    [...refusals, 404],
    /no (?:endpoints?|providers?)\b.{0,60}\b(?:support|handle|match)\w*.{0,40}\b(?:tool|parameter|image|audio|input|modalit|response_format|reasoning)/i,
    { charged: 'request' },
  ],
  [
    'Ollama 0.17, vLLM 0.32',
    'invalid-request',
    refusals,
    /does not support (?:tools|images|vision|insert)\b|requires --(?:\S{1,60} and --)?tool-call-parser|is not a multimodal model/i,
    { charged: 'request' },
  ],
  // both come as 500, however often one asks
  ['Ollama 0.17', 'invalid-request', [500], /^invalid json schema in format|^option \S{1,60} must be of type/i],
  [
    'OpenRouter',
    'permission',
    [...refusals, 404],
    /no (?:endpoints?|allowed providers?)\b.{0,60}\b(?:data policy|privacy|guardrail|allowed|available for the selected)/i,
    { charged: 'model' },
  ],

  [
    'R137',
    'context-length',
    [...refusals, 500],
    /maximum (?:context|prompt|model|allowed) length|context (?:length|window|size|limit)|reduce the length/i,
  ],
  [
    'R137',
    'context-length',
    [...refusals, 500],
    /(?:input|prompt|request)(?: is| was)? too (?:long|large)|too (?:long|large) for (?:this|the) model/i,
  ],
  // SiliconFlow, Alibaba, TGI, OpenAI, Google
  [
    'R137',
    'context-length',
    [...refusals, 500],
    /max_seq_len|range of input length|tokens \+ \S+ must (?:be|not)|input tokens exceed|number of tokens allowed/i,
  ],
  [
    'F27',
    'context-length',
    [...refusals, 429, 500],
    /exceed(?:s|ed|ing)? (?:the |this )?(?:model(?:'s)?|max(?:imum)?|allowed)? ?(?:input |context |model )?tokens? (?:limit|length|count)|exceeds? max(?:imum)? message tokens|more than max(?:imum)? tokens allowed|input characters limit|prompt exceeds max length|ContextWindowExceededError/i,
  ],

  // DeepSeek, with an ordinary 400 invalid_request_error
  ['R100', 'content-filter', refusals, /content exists risk/i],
  [
    'R137',
    'content-filter',
    refusals,
    /content (?:management )?policy|content filter|safety system|\bflagged\b|(?:inappropriate|sensitive) (?:content|information)/i,
  ],
  [
    'F28',
    'content-filter',
    refusals,
    /(?:unsafe|harmful|prohibited|illegal|inappropriate)[\w, ]{0,40} content|content moderation|data.?inspection|ContentPolicyViolationError|(?:high risk|risk control) .{0,30}reject|rejected because .{0,40}high risk/i,
  ],

  // never the bare word "balance": it stands in the text about concurrency too
  ['R137', 'quota', unpaid, /insufficient[ _-](?:user[ _-]|account[ _-])?(?:quota|balance|credits?|funds)/i],
  [
    'R137',
    'quota',
    unpaid,
    /(?:quota|(?:usage|spend(?:ing)?|credit|budget) (?:limit|cap)) (?:is |has been |was )?(?:exceeded|exhausted|reached|hit|used up)/i,
  ],
  ['R137', 'quota', unpaid, /exceeded your current quota/i],
  [
    'R137',
    'quota',
    unpaid,
    /(?:balance|credits?) (?:is |are |has been |have been )?(?:exhausted|depleted|insufficient|too low|not enough)/i,
  ],
  [
    'R137',
    'quota',
    unpaid,
    /not enough (?:balance|credits?|funds)|(?:out of|no (?:more|remaining)) credits|more credits|\boverdue\b/i,
  ],
  [
    'F34',
    'quota',
    unpaid,
    /\b(?:weekly|monthly|daily|\d+.?hour)\b[\w\s/-]{0,30}\b(?:limit|quota|allowance|allocation|credits|cap)\b(?! of requests)/i,
  ],
  [
    'F34',
    'quota',
    unpaid,
    /(?:reached|exceeded|hit|exhausted|used(?: up)?|consumed) (?:all )?(?:of )?(?:your|the|its|their|available)? ?(?:[\w-]+ ){0,4}(?:allowance|budget|credits|usage (?:limit|cap)|spend(?:ing)? (?:limit|cap)|plan limit|free tier|free quota)/i,
  ],
  ['F34', 'quota', unpaid, /usage limit (?:reached|exceeded|for)/i],
  ['F34', 'quota', unpaid, /(?:does not|doesn.?t) have any credits|\bcalls ?\/ ?month\b/i],
  ['F16', 'quota', unpaid, /budget (?:has been |was |is )?exceeded|max(?:imum)? budget/i],
  [
    'F15',
    'quota',
    unpaid,
    /account\b.{0,80}\b(?:suspended|frozen|disabled|locked)\b.{0,160}\b(?:spend\w*|billing|invoice|pay\w*|balance|recharge)/i,
  ],
  [
    'F15',
    'quota',
    unpaid,
    /(?:plan|subscription|package|trial)\b.{0,40}\b(?:has expired|expired|ended)|please (?:recharge|top up|add (?:credits|a payment))/i,
  ],

  [
    'F30',
    'server-error',
    [...refusals, 404, 500, 503],
    /failed to load (?:the )?model|model (?:is |was )?(?:unloaded|not loaded)\b|unable to load (?:the )?model|error loading model|model (?:process )?(?:has )?(?:crashed|unexpectedly stopped)|requires more system memory|runner (?:process )?has (?:terminated|unexpectedly stopped)/i,
    { charged: 'model', atMostMs: aMinute },
  ],

  // DeepSeek: "Model Not Exist", "The supported API model names are ..., but you passed ..."
  ['R137', 'not-found', refusals, /model (?:does )?not exist|model not found|supported api model names/i],
  [
    'R137',
    'not-found',
    refusals,
    /\b(?:no such|unknown|unsupported) model\b|not a valid model|\bmodel (?:is |has been )?disabled/i,
  ],
  ['LiteLLM 1.108', 'not-found', refusals, /invalid model name passed/i],
  // but not "Parameter top_k of model X is not supported"
  ['R137', 'not-found', refusals, /(?<!\bof )\bmodel \S{1,120} (?:does not exist|(?:is )?not (?:found|supported))/i],
  [
    'F33',
    'not-found',
    [...refusals, 429, 500, 503],
    /\bmodel\b.{0,120}\b(?:has been|was|is|been) (?:decommissioned|deprecated|retired|removed|discontinued|sunset|shut ?down)|\bmodel\b.{0,120}\bno longer (?:supported|available|offered|served)|reached its end of life/i,
  ],
  [
    'F33',
    'not-found',
    [...refusals, 429, 500, 503],
    /(?:dedicated )?endpoint (?:\S{1,120} )?is (?:not running|stopped|paused)|non-serverless model|model \S{1,120} is not available/i,
  ],
  [
    'F29',
    'not-found',
    [...refusals, 404, 405, 500],
    /unexpected endpoint or method|(?:cannot|invalid) (?:POST|URL \(POST)|no (?:such )?route|^(?:404:? ?)?(?:page )?not found\.?$/i,
    { cure: 'Check the base URL: it may lack /v1 at its end.' },
  ],

  [
    'R137',
    'authentication',
    refusals,
    /(?:invalid|incorrect|missing|wrong|expired) api[ -]?key|api[ -]?key (?:is |has )?(?:invalid|missing|not valid|required|expired)|authentication fails/i,
  ],
  [
    'Groq',
    'permission',
    refusals,
    /(?:organization|account|project|key|user) (?:has been|is) (?:restricted|disabled|blocked|banned|deactivated)/i,
  ],
  ['Gemini', 'permission', refusals, /(?:user )?location is not supported|not available in your (?:country|region)/i],
  [
    'R137',
    'invalid-request',
    [500],
    /^failed to parse (?:messages|tools|tool call arguments|grammar)|(?:image|audio|video) input is not supported|\bjinja\b|chat template|failed to parse grammar/i,
  ],
  [
    'R137',
    'overloaded',
    [400, 429, 500, 502, 504, noStatus],
    /(?:service|system|server) (?:is )?(?:too )?busy|overloaded|(?:at|over) capacity|temporarily unavailable/i,
  ],
  ['R137', 'overloaded', [400, 429, 500, 502, 504, noStatus], /queue is full|maximum pending requests/i],
  ['LiteLLM 1.108', 'overloaded', [429, noStatus], /^no (?:healthy )?deployments? available/i],
  // a vLLM that is about to stop says the second to new requests, while it still answers the others
  ['vLLM 0.32', 'overloaded', [500, noStatus], /engine is currently busy|cannot schedule new futures after shutdown/i],
]

export const wordingRows: readonly Row[] = /* @__PURE__ */ rowsOf(wordings, chineseWordings)
