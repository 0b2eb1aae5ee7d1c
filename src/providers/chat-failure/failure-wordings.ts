import { chineseWordings } from './failure-wordings-chinese.ts'
import { filters, noStatus, refusals, type Row, rowsOf, type Wording } from './failure-row.ts'

const aMinute = 60_000
/** The statuses that services use for an account without money or quota. */
const unpaid = [...refusals, 401, 402, 409, 412, 429, 500]

/** Models that the account may not use: others of the same key go on. */
const ofPlan =
  /\baccess (?:denied )?to (?:the |this )?model\b|\bcannot access (?:the |this )?model\b|\bnot (?:whitelisted|enabled|authorized|subscribed|entitled) (?:for|to(?: use)?) (?:the |this )?model\b|(?<!\b(?:of|for|on|with|by|in|using) (?:the |this )?)\bmodel\b.{0,80}\b(?:not (?:included|available|enabled) (?:in|on|for|with) your|only available (?:on|to|for|with|in) (?:[\w-]{1,20} ){0,3}(?:plan|tier|subscription|customer|subscriber)|requires an? \w{1,20} (?:plan|subscription|tier)\b)/i

/** Checked in this order. Each wording applies only under the statuses where it is decisive. */
const wordings: readonly Wording[] = [
  ['LiteLLM', 'rate-limit', [429], /no deployments available/i],
  // the gateway's own status says nothing
  ['new-api', 'rate-limit', [500, 502, noStatus], /\bbad response status code 429\b/i],
  ['new-api', 'overloaded', [500, 502, noStatus], /\bbad response status code (?:503|529)\b/i],
  ['R85', 'loading', [503, noStatus], /^loading model|model (?:\S{1,120} )?is (?:currently |still )?loading/i],
  [
    'R85',
    'loading',
    [429, 503, noStatus],
    /\bmodel is (?:cold.?starting|warming up|starting up|being loaded|not (?:yet )?ready)\b|scal(?:ed to|ing (?:up )?from) zero|deployment is scaling up/i,
  ],
  // llama.cpp, and servers built on it, cannot parse the tool call that the model began; the server is healthy
  // (ggml-org/llama.cpp#26381). Early in this list, because older builds quote the model's output
  [
    'ggml-org/llama.cpp#26381',
    'invalid-output',
    [500, noStatus],
    /\bmodel produced (?:output that does not match the expected|invalid content)\b|^failed to parse input at pos \d/i,
  ],
  [
    'F26',
    'invalid-output',
    [...refusals, 500],
    /^failed to (?:call a function|(?:validate|generate) json|parse fc related info)\b|^tool call validation failed\b|\bmodel (?:generated invalid tool calls?|output could not be parsed)\b|^error parsing tool call\b|^xml syntax error on line \d/i,
  ],

  // DeepSeek: "... exceeds your concurrency limit of 25 based on your remaining balance" is about requests, not about money
  ['R1.4', 'rate-limit', [...refusals, 429], /concurren\w{1,3} (?:(?:request )?limit|exceeded)/i],
  [
    'R137',
    'rate-limit',
    [...refusals, 429],
    /rate.?limit(?:ed)? (?:reached|exceeded)|too many (?:concurrent )?requests|^request (?:rate exceeded|was throttled)\b/i,
  ],
  [
    'F10',
    'rate-limit',
    [...refusals, 429],
    /\b(?:token|request)s? per (?:minute|second)\b|\b(?:TPM|RPM|QPS|QPM)\b.{0,40}(?:limit|exceed|reached|over ?flow)/i,
    { atMostMs: aMinute },
  ],
  // Baidu, in a 200; the requests of a day or in all are a quota
  ['F17', 'rate-limit', refusals, /(?<!\b(?:daily|weekly|monthly|total) )\brequest limit reached/i],

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
    [...refusals, 404],
    /does not support (?:tools|images|vision|insert)\b|^(?:image|audio|video|tool|function)s?(?: (?:input|use|call(?:ing|s)?))?s? (?:is|are) not supported\b|requires --(?:\S{1,60} and --)?tool-call-parser|is not a multimodal model/i,
    { charged: 'request' },
  ],
  // both arrive as 500, and retrying does not help
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
    /(?:input|prompt|request)(?: tokens?)?(?: is| are| was)? too (?:long|large)|too (?:long|large) for (?:this|the) model/i,
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
    /exceed(?:s|ed|ing)? (?:the |this )?(?:model(?:'s)?|max(?:imum)?|allowed)? ?(?:input |context |model )?tokens? (?:limit|length|count)(?!.{0,30}\b(?:minute|hour|day|today|week|month)\b)|cannot exceed the total tokens limit|exceeds? max(?:imum)? message tokens|more than max(?:imum)? tokens allowed|input characters limit|max(?:imum)? input characters|prompt exceeds max length|(?:input|prompt) token count of \d+ exceeds the (?:limit|max|context|model)|^too many tokens: size limit exceeded|ContextWindowExceededError/i,
  ],

  // DeepSeek, with an ordinary 400 invalid_request_error
  ['R100', 'content-filter', filters, /content exists risk/i],
  [
    'R137',
    'content-filter',
    filters,
    /content (?:management )?policy|content filter|safety system|(?:inappropriate|sensitive) (?:content|information)|violat\w{1,4} (?:our |the )?(?:usage|content|safety) (?:guidelines|polic)/i,
  ],
  [
    'F28',
    'content-filter',
    filters,
    /(?:unsafe|harmful|prohibited|illegal|inappropriate)[\w, ]{0,40} content|content moderation|data.?inspection(?! process)|ContentPolicyViolationError|(?:high risk|risk control) .{0,30}reject|rejected because .{0,40}high risk/i,
  ],

  [
    'R137',
    'content-filter',
    filters,
    /\b(?:input|prompt|content|request|message|text|output|response|image)s?\b.{0,40}\bflagged\b|\bflagged (?:for|by)\b/i,
  ],

  ['F28', 'content-filter', filters, /\bprompt injection (?:attempt )?detected\b|\bPII detected\b/i],
  // elsewhere a blocked content may be one of a wrong kind
  ['F28 StepFun', 'content-filter', [451], /\bcontent\b(?!.{0,100}\b(?:country|region)\b).{0,60}\bblocked\b/i],

  // never the bare word "balance": it also appears in the message about concurrency
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
    /not enough (?:balance|credits?|funds|quota)|(?:out of|no (?:more|remaining)) credits|more credits|\boverdue\b|\bin arrears\b|\bpayment method\b|\bspend(?:ing)? (?:limit|cap)\b|\b(?:credit|key) limit (?:exceeded|reached)|out of call volume quota/i,
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
    /(?:reached|exceeded|hit|exhausted|used(?: up)?|consumed) (?:all )?(?:of )?(?:your|the|its|their|available)? ?(?!(?:[\w-]+ ){0,3}(?:thinking|reasoning|token) )(?:[\w-]+ ){0,4}(?:allowance|budget|credits|usage (?:limit|cap)|spend(?:ing)? (?:limit|cap)|plan limit|free tier|free quota)/i,
  ],
  [
    'F34',
    'quota',
    unpaid,
    /\bused all (?:of )?(?:your )?(?:free )?(?:requests|messages|calls|tokens) (?:for|of) (?:today|this)\b/i,
  ],
  ['F34', 'quota', unpaid, /usage limits? (?:reached|exceeded|for)|\btotal (?:request|call|token) limit/i],
  ['F34', 'quota', unpaid, /(?:does not|doesn.?t) have any credits|\bcalls ?\/ ?month\b/i],
  [
    'F16',
    'quota',
    unpaid,
    /(?<!thinking |reasoning |token )budget (?:has been |was |is )?exceeded|(?<!\b(?:thinking|reasoning|token).{0,40})max(?:imum)? budget/i,
  ],
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

  // a guardrail may also limit money or models, and a filter ends the whole call
  [
    'F28',
    'content-filter',
    filters,
    /\b(?:content|input|prompt|request|message|output|response)s?\b.{0,40}\b(?:blocked|rejected) by (?:\S{1,40} )?guardrails?\b|\bviolat\w{1,4} (?:the )?guardrails?\b/i,
  ],

  [
    'F30',
    'server-error',
    [...refusals, 404, 500, 503],
    /(?:failed|unable) to load (?:the )?model|could not load (?:the )?model|model (?:is |was )?(?:unloaded|not loaded)\b|no models? (?:is |are )?(?:currently )?loaded|^channel error|degraded function cannot be invoked|error loading model|model (?:process )?(?:has )?(?:crashed|unexpectedly stopped)|requires more system memory|runner (?:process )?has (?:terminated|unexpectedly stopped)/i,
    { charged: 'model', atMostMs: aMinute },
  ],

  ['F30', 'server-error', refusals, /\bCUDA (?:error|out of memory)|^out of memory\b/i],

  // DeepSeek: "Model Not Exist", "The supported API model names are ..., but you passed ..."
  ['R137', 'not-found', refusals, /model (?:does )?not exist|model not found|supported api model names/i],
  [
    'R137',
    'not-found',
    refusals,
    /\b(?:no such|unknown|unsupported|unavailable) model\b(?! (?:param|field|option|setting|argument))|not a valid model|\bmodel (?:is |has been )?disabled|model identifier is invalid|on-demand throughput isn.?t supported|does not work with the specified model|no provider supported|^could not route to/i,
  ],
  ['LiteLLM 1.108', 'not-found', refusals, /invalid model name passed/i],
  ['new-api', 'not-found', [...refusals, 429, 503], /no available channels? for model\b/i],
  // must not match "Parameter top_k of model X is not supported", "Function calling with model X is not supported"
  [
    'R137',
    'not-found',
    refusals,
    /(?<!\b(?:of|for|on|with|by|in|using) (?:the |this )?)\bmodel \S{1,120} (?:does not exist|(?:is )?not (?:found|supported))/i,
  ],
  [
    'F33',
    'not-found',
    [...refusals, 429, 500, 503],
    /\bmodel\b(?!.{0,120}\b(?:parameter|argument|field|option|property)\b).{0,120}\b(?:(?:has been|was|is|been) (?:decommissioned|deprecated|retired|removed|discontinued|sunset|shut ?down)|no longer (?:supported|available|offered|served))|reached (?:its|the) end of (?:its )?life/i,
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
    /unexpected endpoint or method|(?:cannot|invalid) (?:POST|URL \(POST)|no (?:such )?route|^(?:404:? ?)?(?:page )?not[ _]found\.?$/i,
    { cure: 'Check the base URL: /v1 may be missing at its end.' },
  ],

  ['R103', 'quota', [402], ofPlan, { charged: 'model' }],
  ['R103', 'permission', refusals, ofPlan, { charged: 'model' }],
  // "You don't have access to the model", "No access to model: o1", "not allowed to sample from this model"
  [
    'R103',
    'permission',
    refusals,
    /(?:\bno|\bhas|\bhave) access to (?:the |this )?model|not (?:allowed|permitted|authorized) to (?:access|use|call|sample from) (?:the |this )?model|\bmodel \S{1,120} (?:requires terms acceptance|is blocked at the)/i,
    { charged: 'model' },
  ],
  [
    'R137',
    'authentication',
    refusals,
    /(?:invalid|incorrect|missing|wrong|expired) api[ -]?key|api[ -]?key (?:is |has )?(?:invalid|missing|not valid|required|expired)|authentication fails|\baccess token (?:is )?(?:invalid|expired)|^invalid (?:access |bearer |auth(?:entication)? )?token\.?$/i,
  ],
  [
    'Groq',
    'permission',
    refusals,
    /(?<![_\w])(?:organization|account|project|key|user) (?:has been|is) (?:restricted|disabled|blocked|banned|deactivated)|\bno permission to (?:access|use|call)\b/i,
  ],
  ['Gemini', 'permission', refusals, /\b(?:user )?location is not supported for|not available in your (?:country|region)/i],
  [
    'R137',
    'invalid-request',
    [500],
    /^failed to parse (?:messages|tools|tool call arguments|grammar)|(?:image|audio|video) input is not supported|\bjinja\b|chat template|failed to parse grammar/i,
  ],
  [
    'R137',
    'overloaded',
    [400, 422, 429, 500, 502, 504, noStatus],
    /(?:service|system|server|model) (?:is )?(?:too )?busy|overloaded|(?:at|over) (?:maximum |full )?capacity|capacity temporarily exceeded|high (?:traffic|demand)|temporarily unavailable/i,
  ],
  // a gateway that could not reach its service; that of a picture, which nobody could reach, is named by the request
  [
    'F25',
    'server-error',
    refusals,
    /^(?![^]*\b(?:images?|image_url|audio|video|file|url|media|download\w*)\b)[^]*\bE(?:CONNREFUSED|CONNRESET|TIMEDOUT|HOSTUNREACH|NOTFOUND)\b|^fetch failed$|\bsocket hang up\b|^upstream (?:request )?(?:failed|timed out)\b|^request to (?:the )?model timed out\b|^internal server error\b/i,
  ],
  ['R137', 'overloaded', [400, 429, 500, 502, 504, noStatus], /queue is full|maximum pending requests/i],
  ['LiteLLM 1.108', 'overloaded', [429, noStatus], /^no (?:healthy )?deployments? available/i],
  // a vLLM that is shutting down sends the second message to new requests while it still serves the running ones
  ['vLLM 0.32', 'overloaded', [500, noStatus], /engine is currently busy|cannot schedule new futures after shutdown/i],
]

export const wordingRows: readonly Row[] = /* @__PURE__ */ rowsOf(wordings, chineseWordings)
