import { filters, noStatus, refusals, type Wording } from './failure-row.ts'

const aMinute = 60_000
const unpaid = [...refusals, 401, 402, 412, 429, 500]
const limited = [...refusals, 429, 500, 503]

/** Wordings of Chinese services and of the gateways in front of them (new-api, one-api). Checked in this order. */
export const chineseWordings: readonly Wording[] = [
  [
    'F10',
    'rate-limit',
    limited,
    /速率限制|频率(?:过高|限制|超)|过于频繁|请求过快|限流|(?:RPM|TPM|QPS|QPM).{0,12}(?:限|超|上限)/i,
    { atMostMs: aMinute },
  ],
  [
    'F10',
    'rate-limit',
    limited,
    /并发.{0,10}(?:过高|超|达到|上限|限制)|每(?:分钟|秒).{0,20}(?:限|超|上限)/,
    {
      atMostMs: aMinute,
    },
  ],
  [
    'F34',
    'quota',
    unpaid,
    /余额不足|欠费|(?:额度|配额|用量|积分|免费额度).{0,8}(?:不足|用尽|用完|耗尽|已用|超限)|无可用资源包|请.{0,4}充值/,
  ],
  [
    'F34',
    'quota',
    unpaid,
    /(?:用量|每周|本周|每日|今日|每月|本月|小时).{0,8}(?:上限|限额|额度)|使用(?:上限|限额|额度)|套餐.{0,10}(?:到期|过期|用完|用尽)/,
  ],
  ['F15', 'quota', unpaid, /账[户号].{0,12}(?:停用|冻结|暂停|停机)/],
  ['F28', 'content-filter', filters, /(?<!大小写)敏感|违规|违法|不安全|不合规|安全审核|内容安全|风险内容|审核(?:不|未)通过/],
  [
    'F27',
    'context-length',
    [...refusals, 429, 500],
    /超[过出长].{0,16}(?:上下文|最大.{0,4}长度|长度限制|token)|(?:输入|内容|提示词|prompt).{0,8}(?:过长|超长|长度超)/i,
  ],
  [
    'F33',
    'not-found',
    [...refusals, 404, 429, 503],
    /模型(?!.{0,60}(?:参数|字段|功能)).{0,60}(?:不存在|已下线|已下架|下线|未找到|不可用)|(?:没有|无|不支持)(?:该|此|这个)?模型(?!参数|的)|模型.{0,60}无可用(?:的)?渠道/,
  ],
  [
    'F35',
    'authentication',
    refusals,
    /(?:令牌|密钥|api.?key|身份|鉴权|认证|(?<!\w)token(?!s|数|长|上限|总)).{0,8}(?:无效|错误|失败|过期|不存在|不正确|未提供)|无效的(?:令牌|密钥|api.?key)/i,
  ],
  ['R103', 'permission', refusals, /无权(?:限)?(?:访问|使用|调用)(?:该|此)?模型|没有.{0,12}模型.{0,6}权限/, { charged: 'model' }],
  ['R103', 'permission', refusals, /无权(?:限|访问|使用)|没有权限|权限不足/],
  ['F30', 'loading', [503, noStatus], /模型.{0,8}(?:加载中|正在加载)/],
  [
    'F18',
    'overloaded',
    [400, 429, 500, 502, 503, 504, noStatus],
    /(?:系统|服务|服务器|服务端).{0,4}(?:繁忙|过载)|访问量过大|负载.{0,6}(?:饱和|过高)|过载|稍[后候]再?[试重]/,
  ],
]
