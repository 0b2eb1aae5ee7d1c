import type { Row } from './failure-row.ts'

const aMinute = 60_000

/**
 * Rows that need two signs to agree, because each alone would say something else: they go before everything but a host's own rules.
 * Codes of digits belong to one service each, so they count only together with the form that this service has.
 */
export const exactRows: readonly Row[] = [
  // DashScope writes the code of an empty account where tokens per minute are meant; an empty one there is `Arrearage`
  {
    from: 'F10',
    code: /insufficientquota|allocationquota|limitrequests/,
    words: /token-limit|rate-limit|(?:token|request)s? per (?:second|minute)/i,
    reason: 'rate-limit',
    atMostMs: aMinute,
  },
  // Google tells both apart only by the id of the quota, which belongs to a model
  { from: 'F11', words: /\w*PerDay\w*/, type: /resourceexhausted/, reason: 'quota', charged: 'model' },
  { from: 'F11', words: /\w*Per(?:Minute|Second)\w*/, type: /resourceexhausted/, reason: 'rate-limit', atMostMs: aMinute },
  // OpenAI writes the code of a text that is too long where the id of a tool call is
  {
    from: 'F56',
    code: /stringabovemaxlength/,
    words: /tool_calls?\b[^]{0,12}\bid\b|tool_call_id/i,
    reason: 'invalid-request',
    charged: 'request',
  },
  // smaller calls can still be paid for
  {
    from: 'F12',
    statuses: [200, 400, 402, 403, 429],
    words: /can only afford \d|requires more credits, or fewer/i,
    reason: 'quota',
    charged: 'request',
  },
  { from: 'F19', outgrown: true, statuses: [200, 400, 413, 422, 429], reason: 'context-length', charged: 'request' },
  { from: 'F31', code: /^proxyauthenticationrequired/, reason: 'authentication', charged: 'nobody' },
  { from: 'R137', statuses: [413], code: /./, reason: 'context-length', charged: 'request' },
  ...zhipu(),
  ...miniMax(),
]

/** Zhipu and Z.ai (F28, F34): an object of `code` and `message` and nothing else. */
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
    row(/^1211$/, { reason: 'not-found' }),
    row(/^(?:1220|1311)$/, { reason: 'permission', charged: 'model' }),
    row(/^1261$/, { reason: 'context-length' }),
    row(/^(?:1302|1303|1313)$/, { reason: 'rate-limit' }),
    row(/^(?:1304|1308|1309|1310)$/, { reason: 'quota' }),
    row(/^(?:1230|1234)$/, { reason: 'server-error' }),
    row(/^(?:1305|1312)$/, { reason: 'overloaded' }),
  ]
}

/** MiniMax (F17): `base_resp` beside an answer without choices, with the status 200. */
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
    row(/^(?:2013|20132|1042)$/, { reason: 'invalid-request' }),
  ]
}

/**
 * Values of `code` and `type` that name one cause, without case and punctuation. `invalid_request_error` is none of them: DeepSeek
 * writes it into `code` whatever happened.
 */
export const codeRows: readonly Row[] = [
  {
    from: 'R137',
    code: /^(?:context(?:length|window)|exceedcontextsize|modelcontextwindow|stringabovemaxlength)/,
    reason: 'context-length',
  },
  {
    from: 'anthropic.com errors',
    code: /^(?:requesttoolarge|(?:prompt|input|request)too(?:long|large))/,
    reason: 'context-length',
  },
  {
    from: 'R137',
    code: /^(?:content(?:policy|filter)|moderation|datainspectionfailed|responsibleaipolicy)|sensitivecontent/,
    reason: 'content-filter',
  },
  {
    from: 'F28',
    code: /^(?:prompt(?:blocked|filtered)|prohibitedcontent|content(?:blocked|moderation|safety|risk|existsrisk)|safety(?:blocked|violation)|datainspection|censor)|sensitivewords/,
    reason: 'content-filter',
  },
  // before the quotas: these are about one model of the account
  { from: 'F13', code: /freetieronly$/, reason: 'quota', charged: 'model' },
  { from: 'F14', code: /^setlimitexceeded/, reason: 'quota', charged: 'model' },
  {
    from: 'R137',
    code: /^(?:insufficient(?:user)?(?:quota|balance|credit|fund)|creditbalance|billing|arrearage|accountoverdue|quotaexceeded)/,
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
    code: /^(?:resource(?:has)?exhausted|allocationquota|requestlimitexceeded|(?:account|user)ratelimit|(?:rpm|tpm|qps|concurrency)limit)/,
    reason: 'rate-limit',
  },
  { from: 'R137', code: /^(?:overloaded|server(?:is)?overloaded|(?:engine|model)overloaded)/, reason: 'overloaded' },
  // the proxy leaves each of its deployments alone for a while, because each has failed: nobody asked for too much
  { from: 'LiteLLM 1.108', code: /^alldeploymentsincooldown/, reason: 'overloaded' },
  {
    from: 'F18',
    code: /^(?:(?:servicetier|flextier)?capacityexceeded|nocapacity|systembusy|(?:service|server)busy|modelatcapacity)/,
    reason: 'overloaded',
  },
  {
    from: 'R137',
    code: /^(?:model(?:id)?not(?:found|exist|open)|invalidendpointormodel|deploymentnotfound)/,
    reason: 'not-found',
  },
  {
    from: 'F33',
    code: /^(?:(?:dedicated)?endpoint(?:is)?notrunning|model(?:is)?(?:not(?:available|supported)|unavailable|decommissioned|deprecated|retired|removed|discontinued|shutdown)|(?:unknown|unsupported|invalid|nosuch)model(?:id|name)?$)/,
    reason: 'not-found',
  },
  {
    from: 'R103',
    code: /^(?:model(?:access|permission)denied|(?:key|team|user|org|project)modelaccessdenied|accessdeniedunpurchased)/,
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
    code: /^(?:(?:api)?key(?:invalid|expired)|(?:expired|revoked)(?:api)?key|accountdeactivated|(?:access)?tokenexpired|tokennotfound)/,
    reason: 'authentication',
  },
  { from: 'R137', code: /^(?:permission|unsupportedcountry|accessdenied|accessterminated)/, reason: 'permission' },
  {
    from: 'F26',
    code: /^(?:tooluse(?:failed|error)|json(?:validate|validation)failed|outputparsefailed)/,
    reason: 'invalid-output',
  },
  { from: 'R137', code: /^model(?:is)?(?:loading|notready|warmingup)/, reason: 'loading' },
]

/** Values that name a class only; they decide where there is no status. */
export const classRows: readonly Row[] = [
  { from: 'R21', code: /unavailable|busy|overload/, reason: 'overloaded' },
  { from: 'R21', code: /notfound/, reason: 'not-found' },
  { from: 'R21', code: /^forbidden/, reason: 'permission' },
  { from: 'R21', code: /^unauthorized/, reason: 'authentication' },
  { from: 'R21', code: /^(?:invalid|badrequest|unprocessable|notsupported)/, reason: 'invalid-request' },
]
