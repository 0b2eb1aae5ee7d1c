import type { FailureReason } from '../../contract.ts'

/** The reason that a server's words tell, where its status leaves it open. */
export function byWording(words: string, status: number): FailureReason | undefined {
  return wordings.find(({ statuses, patterns }) => statuses.includes(status) && patterns.some(pattern => pattern.test(words)))
    ?.reason
}

type Wording = { readonly reason: FailureReason; readonly statuses: readonly number[]; readonly patterns: readonly RegExp[] }

/** An error inside a 200 that gives itself no status. */
const noStatus = 200
/** The statuses that mean many things. */
const refusals = [400, 403, 422, noStatus]

/** Looked at in this order. Each wording counts only under the statuses where it decides something. */
const wordings: readonly Wording[] = [
  {
    reason: 'loading',
    statuses: [503, noStatus],
    patterns: [/^loading model/i, /model (?:\S{1,120} )?is (?:currently |still )?loading/i],
  },
  {
    reason: 'invalid-output',
    // llama.cpp, and what runs on it, cannot read the tool call that the model began: the server is well (ggml-org/llama.cpp#26381).
    // Early in this list: older builds quote what the model wrote
    statuses: [500, noStatus],
    patterns: [/\bmodel produced output that does not match the expected\b/i, /^failed to parse input at pos \d/i],
  },
  {
    reason: 'rate-limit',
    statuses: [...refusals, 429],
    patterns: [
      // DeepSeek: "... exceeds your concurrency limit of 25 based on your remaining balance" is about requests, not about money
      /concurren\w{1,3} (?:request )?limit/i,
      /rate.?limit(?:ed)? (?:reached|exceeded)/i,
      /too many (?:concurrent )?requests/i,
    ],
  },
  {
    reason: 'context-length',
    statuses: [...refusals, 500],
    patterns: [
      /maximum (?:context|prompt|model|allowed) length/i,
      /context (?:length|window|size|limit)/i,
      /(?:input|prompt|request)(?: is| was)? too (?:long|large)/i,
      /too (?:long|large) for (?:this|the) model/i,
      /reduce the length/i,
      // SiliconFlow, Alibaba, TGI, OpenAI, Google
      /max_seq_len/i,
      /range of input length/i,
      /tokens \+ \S+ must (?:be|not)/i,
      /input tokens exceed/i,
      /number of tokens allowed/i,
    ],
  },
  {
    reason: 'content-filter',
    statuses: refusals,
    patterns: [
      // DeepSeek, with an ordinary 400 invalid_request_error
      /content exists risk/i,
      /content (?:management )?policy|content filter|safety system/i,
      /\bflagged\b/i,
      /(?:inappropriate|sensitive) (?:content|information)/i,
    ],
  },
  {
    reason: 'quota',
    statuses: [...refusals, 401, 429, 500],
    // never the bare word "balance": it stands in the text about concurrency too
    patterns: [
      /insufficient[ _-](?:user[ _-])?(?:quota|balance|credits?|funds)/i,
      /(?:quota|usage limit|spending limit|credit limit) (?:is |has been )?(?:exceeded|exhausted|reached)/i,
      /exceeded your current quota/i,
      /(?:balance|credits?) (?:is |are |has been |have been )?(?:exhausted|depleted|insufficient|too low|not enough)/i,
      /not enough (?:balance|credits?|funds)|out of credits|more credits|\boverdue\b|余额不足|欠费/i,
    ],
  },
  {
    reason: 'not-found',
    statuses: refusals,
    patterns: [
      // DeepSeek: "Model Not Exist", "The supported API model names are ..., but you passed ..."
      /model (?:does )?not exist|model not found/i,
      /supported api model names/i,
      /\b(?:no such|unknown) model\b|not a valid model/i,
      // but not "Parameter top_k of model X is not supported"
      /(?<!\bof )\bmodel \S{1,120} (?:does not exist|(?:is )?not (?:found|supported))/i,
    ],
  },
  {
    reason: 'authentication',
    statuses: refusals,
    patterns: [
      /(?:invalid|incorrect|missing|wrong) api[ -]?key/i,
      /api[ -]?key (?:is )?(?:invalid|missing|not valid|required)/i,
      /authentication fails/i,
    ],
  },
  {
    reason: 'invalid-request',
    // llama-server answers 500 server_error to these (seen with build 11669); they come back however often one asks
    statuses: [500],
    patterns: [
      /^failed to parse (?:messages|tools|tool call arguments|grammar)/i,
      /(?:image|audio|video) input is not supported/i,
      /\bjinja\b|chat template|failed to parse grammar/i,
    ],
  },
  {
    reason: 'overloaded',
    statuses: [400, 429, 500, 502, 504, noStatus],
    patterns: [
      /(?:service|system|server) (?:is )?(?:too )?busy/i,
      /overloaded|(?:at|over) capacity|temporarily unavailable/i,
      /queue is full|maximum pending requests/i,
    ],
  },
]
