import type { Row } from './failure-row.ts'

const aMinute = 60_000

/**
 * Rows that need two matching signs, because each sign alone would mean something else. They come before everything except a
 * host's own rules. Numeric codes are specific to one service, so they count only together with that service's error shape.
 */
export const exactRows: readonly Row[] = [
  // DashScope sends an empty-account code for tokens per minute; its code for an empty account is `Arrearage`
  {
    from: 'F10',
    code: /insufficientquota|allocationquota|limitrequests/,
    words: /token-limit|rate-limit|(?:token|request)s? per (?:second|minute)/i,
    reason: 'rate-limit',
    atMostMs: aMinute,
  },
  // Google distinguishes the two only by the quota id; each quota belongs to one model
  { from: 'F11', words: /\w*PerDay\w*/, type: /resourceexhausted/, reason: 'quota', charged: 'model' },
  { from: 'F11', words: /\w*Per(?:Minute|Second)\w*/, type: /resourceexhausted/, reason: 'rate-limit', atMostMs: aMinute },
  // OpenAI sends the code for a too-long text when a tool call's id is too long
  {
    from: 'F56',
    code: /stringabovemaxlength/,
    words: /tool_calls?\b[^]{0,12}\bid\b|tool_call_id/i,
    reason: 'invalid-request',
    charged: 'request',
  },
  // ... and when any other field but the conversation is too long: a key of a cache, a tool's description
  {
    from: 'F56',
    code: /stringabovemaxlength/,
    words: /invalid (?:x|'(?!messages\S*content')[^']{1,200}'): string too long/i,
    reason: 'invalid-request',
    charged: 'request',
  },
  // a plan is used up, although the code or type calls it a rate (MiniMax, Gemini's spend cap, Baidu's coding plan)
  {
    from: 'F34',
    statuses: [200, 403, 429],
    words:
      /\b(?:weekly|monthly|\d+.?hour) usage limit|\busage limits? (?:is |has been |was )?(?:reached|exceeded)|\bspend(?:ing)? cap\b|\bprepa(?:id|yment) credits? .{0,20}(?:depleted|exhausted)|\b(?:hour|week|month)(?:ly)? quota exceeded/i,
    reason: 'quota',
  },
  // the quota of one model: Volcengine's free trial, ModelScope's day
  {
    from: 'F13',
    statuses: [200, 400, 403, 429],
    words:
      /(?:exceeded|exhausted|used up)\b.{0,30}\bquota\b.{0,8} (?:for|of) (?:the )?(?:\S{1,80} )?model\b|\b(?:daily|weekly|monthly) limit\b.{0,20} (?:for|of) (?:the |this )?model\b/i,
    reason: 'quota',
    charged: 'model',
  },
  // new-api reserves the price before it sends the call: a smaller call may be paid for
  {
    from: 'F12',
    statuses: [200, 400, 402, 403, 429],
    words: /(?:剩余额度|remain(?:ing)? quota)[:：]? ?[^\d-]{0,4}(?=[\d.]*[1-9])[\d.]+.{0,12}(?:需要|need)/i,
    reason: 'quota',
    charged: 'request',
  },
  // OpenCode Zen answers 401 for a model that it does not offer
  { from: 'F33', statuses: [400, 401, 403], type: /^modelerror$/, words: /\bnot supported\b/i, reason: 'not-found' },
  // the account can still pay for smaller calls
  {
    from: 'F12',
    statuses: [200, 400, 402, 403, 429],
    words: /can only afford \d|requires more credits, or fewer|^prompt tokens limit exceeded: \d/i,
    reason: 'quota',
    charged: 'request',
  },
  // Anthropic calls it a rate, but only this request is too long for the account
  {
    from: 'F19',
    statuses: [200, 400, 402, 403, 429],
    words: /\bextra usage is required for long context\b|\blong context beta is not\b/i,
    reason: 'context-length',
    charged: 'request',
  },
  { from: 'F19', outgrown: true, statuses: [200, 400, 413, 422, 429], reason: 'context-length', charged: 'request' },
  { from: 'F31', code: /^proxyauthenticationrequired/, reason: 'authentication', charged: 'nobody' },
  { from: 'R137', statuses: [413], code: /./, reason: 'context-length', charged: 'request' },
  ...zhipu(),
  ...miniMax(),
]

/** Zhipu and Z.ai (F28, F34): an object with only `code` and `message`. */
function zhipu(): readonly Row[] {
  const from = 'F28, open.bigmodel.cn error codes'
  const row = (code: RegExp, meaning: Pick<Row, 'reason' | 'charged' | 'atMostMs'>): Row => ({
    from,
    code,
    type: /^$/,
    ...meaning,
  })
  return [
    row(/^1301$/, { reason: 'content-filter' }),
    row(/^(?:1000|1001|1002|1003|1004)$/, { reason: 'authentication' }),
    row(/^(?:1110|1111|1112|1113)$/, { reason: 'quota' }),
    row(/^(?:1211|1221|1222)$/, { reason: 'not-found' }),
    row(/^(?:1220|1311)$/, { reason: 'permission', charged: 'model' }),
    row(/^1261$/, { reason: 'context-length' }),
    row(/^(?:1302|1303|1313)$/, { reason: 'rate-limit' }),
    row(/^(?:1304|1308|1309|1310)$/, { reason: 'quota' }),
    row(/^(?:1230|1234)$/, { reason: 'server-error' }),
    row(/^(?:1305|1312)$/, { reason: 'overloaded' }),
  ]
}

/** MiniMax (F17): `base_resp` beside an answer without choices, with status 200. */
function miniMax(): readonly Row[] {
  const from = 'F17, platform.minimaxi.com error codes'
  const row = (code: RegExp, meaning: Pick<Row, 'reason' | 'charged' | 'atMostMs'>): Row => ({
    from,
    code,
    type: /^baseresp$/,
    ...meaning,
  })
  return [
    row(/^(?:1002|1039|1041|2045)$/, { reason: 'rate-limit', atMostMs: aMinute }),
    row(/^(?:1008|2056|2061)$/, { reason: 'quota' }),
    row(/^(?:1004|2049)$/, { reason: 'authentication' }),
    row(/^(?:1026|1027)$/, { reason: 'content-filter' }),
    row(/^(?:1000|1013|1024|1033)$/, { reason: 'server-error' }),
    row(/^1001$/, { reason: 'overloaded' }),
    { from, code: /^2013$/, type: /^baseresp$/, words: /context window/i, reason: 'context-length' },
    row(/^(?:2013|20132|1042)$/, { reason: 'invalid-request' }),
  ]
}

/**
 * Values of `code` and `type` that identify one cause, without case and punctuation. `invalid_request_error` is not one of them:
 * DeepSeek uses it as the `code` of every failure.
 */
export const codeRows: readonly Row[] = [
  {
    from: 'R137',
    code: /^(?:context(?:length|window)|exceedcontextsize|modelcontextwindow|modelmaxprompttokens|stringabovemaxlength)/,
    reason: 'context-length',
  },
  {
    from: 'anthropic.com errors',
    code: /^(?:requesttoolarge|(?:prompt|input|request)(?:tokens?)?too(?:long|large))/,
    reason: 'context-length',
  },
  {
    from: 'R137',
    code: /^(?:content(?:policy|filter)|moderation|datainspectionfailed|responsibleaipolicy)|sensitivecontent/,
    reason: 'content-filter',
  },
  {
    from: 'F28',
    code: /^(?:prompt(?:blocked|filtered)|prohibitedcontent|content(?:blocked|moderation|safety|risk|existsrisk)|safety(?:blocked|violation)|datainspection|censor)|sensitivewords|(?:text|image)(?:riskdetection|illegaldetected)/,
    reason: 'content-filter',
  },
  // before the quotas: these concern a single model of the account
  { from: 'F13', code: /freetieronly$/, reason: 'quota', charged: 'model' },
  { from: 'F14', code: /^setlimitexceeded/, reason: 'quota', charged: 'model' },
  {
    from: 'R137',
    code: /^(?:insufficient(?:user)?(?:quota|balance|credit|fund)|creditbalance|billing|arrearage|accountoverdue|quotaexceeded)/,
    reason: 'quota',
  },
  {
    from: 'F34',
    code: /serviceoverdue$|(?:resourcepack|chargeresource)exhausted$|^failedoperationservicestop|^(?:tokenquotareached|customerverificationrequired|creditserror|blockedapiaccess)$|(?:hour|week|month)(?:ly)?quotaexceeded$/,
    reason: 'quota',
  },
  { from: 'F16', code: /^(?:budgetexceeded|exceededbudget|exceededtokenbudget)/, reason: 'quota' },
  {
    from: 'F34',
    code: /^(?:(?:usage|spend(?:ing)?|credits?|plan|weekly|monthly)(?:cap|limit)(?:reached|exceeded)?$|exceededcurrentquota|preconsumetokenquotafailed|quotaexhausted|(?:notenough|outof)(?:balance|credits?|funds)|(?:balance|credits?)(?:notenough|exhausted|insufficient)|paymentrequired$)/,
    reason: 'quota',
  },
  { from: 'F15', code: /^account(?:suspended|frozen|arrears)/, reason: 'quota' },
  { from: 'R137', code: /^(?:ratelimit|slowdown|toomanyrequests|throttling|limitrequests)/, reason: 'rate-limit' },
  {
    from: 'F11',
    code: /^(?:resource(?:has)?exhausted|allocationquota|requestlimitexceeded|(?:account|user)ratelimit|(?:rpm|tpm|qps|concurrency)limit)|serverlimitexceeded$/,
    reason: 'rate-limit',
  },
  { from: 'R137', code: /^(?:overloaded|server(?:is)?overloaded|(?:engine|model)overloaded)/, reason: 'overloaded' },
  // the proxy pauses each deployment because each has failed; the caller did not send too many requests
  { from: 'LiteLLM 1.108', code: /^alldeploymentsincooldown/, reason: 'overloaded' },
  {
    from: 'F18',
    code: /^(?:(?:servicetier|flextier)?capacityexceeded|nocapacity|systembusy|(?:service|server|model)busy|modelatcapacity|queueexceeded)/,
    reason: 'overloaded',
  },
  {
    from: 'R137',
    code: /^(?:model(?:id)?not(?:found|exist|open)|invalidendpointormodel|deploymentnotfound)/,
    reason: 'not-found',
  },
  // with these statuses the model is expected back: "Model is unavailable, please try again later" (DashScope)
  { from: 'F33', statuses: [429, 500, 502, 503, 504], code: /^model(?:is)?unavailable/, reason: 'overloaded' },
  {
    from: 'F33',
    code: /^(?:(?:dedicated)?endpoint(?:is)?notrunning|model(?:is)?(?:not(?:available|supported)|unavailable|decommissioned|deprecated|retired|removed|discontinued|shutdown)|(?:unknown|unsupported|unavailable|invalid|nosuch)model(?:id|name)?$|invalidendpointclosed)/,
    reason: 'not-found',
  },
  {
    from: 'R103',
    code: /^(?:model(?:access|permission)denied|(?:key|team|user|org|project)modelaccessdenied|accessdeniedunpurchased|modelpermissionblocked|modeltermsrequired)/,
    reason: 'permission',
    charged: 'model',
  },
  {
    from: 'R137',
    code: /^(?:authentication|unauthenticated|(?:invalid|incorrect)(?:apikey|authentication))/,
    reason: 'authentication',
  },
  {
    from: 'litellm, Gemini',
    code: /^(?:(?:api)?key(?:invalid|expired)|(?:expired|revoked)(?:api)?key|accountdeactivated|(?:access)?tokenexpired|tokennotfound|authfailure)/,
    reason: 'authentication',
  },
  { from: 'R137', code: /^(?:permission|unsupportedcountry|accessdenied|accessterminated)/, reason: 'permission' },
  {
    from: 'F26',
    code: /^(?:tooluse(?:failed|error)|json(?:validate|validation)failed|outputparsefailed)/,
    reason: 'invalid-output',
  },
  { from: 'R137', code: /^model(?:is)?(?:loading|notready|warmingup)|^deploymentscalingup/, reason: 'loading' },
]

/** Values that name only a class of failures. They decide when there is no status. */
export const classRows: readonly Row[] = [
  { from: 'R21', code: /unavailable|busy|overload/, reason: 'overloaded' },
  { from: 'R21', code: /notfound/, reason: 'not-found' },
  { from: 'R21', code: /^forbidden/, reason: 'permission' },
  { from: 'R21', code: /^unauthorized/, reason: 'authentication' },
  { from: 'R21', code: /^(?:invalid|badrequest|unprocessable|notsupported)/, reason: 'invalid-request' },
]
