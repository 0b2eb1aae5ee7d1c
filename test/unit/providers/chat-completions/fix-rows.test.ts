import { describe, expect, test } from 'vitest'
import type { Call } from '../../../../src/contract.ts'
import type { FailureReason } from '../../../../src/contract-failures.ts'
import { ProviderError } from '../../../../src/errors.ts'
import { type Dialect, plainDialect } from '../../../../src/providers/chat-completions/dialect.ts'
import { encode } from '../../../../src/providers/chat-request/encode.ts'
import { type Asked, type RequestFix, tokenLimitOf } from '../../../../src/providers/chat-request/fix-row.ts'
import { keepFixes, fixFor, type FixMemory, withFixes } from '../../../../src/providers/chat-request/request-fix.ts'

/** Every row by itself: what is said of a request, and what becomes of the request. */
type Given = {
  readonly call?: Partial<Call>
  readonly dialect?: Partial<Dialect>
  readonly stream?: boolean
  readonly reason?: FailureReason
  readonly status?: number
  readonly reasoned?: boolean
  readonly fixes?: readonly RequestFix[]
  readonly numbers?: { readonly contextTokens?: number; readonly requestedTokens?: number }
}

const turn: Call['messages'] = [{ role: 'user', content: 'Hi' }]

function askedFor({ call, dialect, stream = true }: Given): Asked {
  return { call: { model: 'm', metadata: {}, messages: turn, ...call }, dialect: { ...plainDialect, ...dialect }, stream }
}

function fixOf(said: string, given: Given = {}): RequestFix | undefined {
  const { reason = 'invalid-request', status = 400, reasoned = false, fixes = [], numbers = {} } = given
  const asked = askedFor(given)
  const { body } = encode(asked.call, asked.dialect, { stream: asked.stream })
  const error = new ProviderError('Refused.', { reason, status, said, ...numbers })
  return fixFor(error, { asked, fixes, fields: Object.keys(body), limit: tokenLimitOf(body), reasoned })
}

function change(said: string, given: Given = {}): Asked | undefined {
  return fixOf(said, given)?.change(askedFor(given))
}

describe('tokens', () => {
  const ofCeiling = (most: number) => `This model supports at most ${most} completion tokens`
  const ofRoom = (context: number) =>
    `This model's maximum context length is ${context} tokens. However, you requested 600 tokens (100 in the messages, 500 in the completion).`

  test('16 are an answer, 15 are not', () => {
    expect(change(ofCeiling(16), { call: { maxOutputTokens: 500 } })?.call.maxOutputTokens).toBe(16)
    expect(fixOf(ofCeiling(15), { call: { maxOutputTokens: 500 } })).toBeUndefined()
  })

  test('a limit that is taken already is not asked for again', () => {
    expect(fixOf(ofCeiling(500), { call: { maxOutputTokens: 500 } })).toBeUndefined()
    expect(fixOf(ofCeiling(500), { call: { maxOutputTokens: 501 } })?.message).toContain('500 of the 501 requested tokens')
  })

  test('what was sent counts, not what the server says was sent', () => {
    const said = 'This model supports at most 600 completion tokens, whereas you provided 500'
    expect(change(said, { call: { maxOutputTokens: 700 } })?.call.maxOutputTokens).toBe(600)
  })

  test.each(['rate-limit', 'content-filter', 'authentication'] as const)('a refusal that is %s names no limit', reason => {
    expect(fixOf(ofCeiling(100), { reason, status: 429, call: { maxOutputTokens: 500 } })).toBeUndefined()
    expect(fixOf(ofRoom(400), { reason, status: 429, call: { maxOutputTokens: 500 } })).toBeUndefined()
  })

  test('a 500 with a limit is about the request; an error in a 200 that failed by itself is not', () => {
    const call = { maxOutputTokens: 500 }
    expect(change(ofCeiling(100), { reason: 'server-error', status: 500, call })?.call.maxOutputTokens).toBe(100)
    expect(fixOf(ofCeiling(100), { reason: 'server-error', status: 200, call })).toBeUndefined()
  })

  test('room that is named goes before room that is counted', () => {
    const said = `${ofRoom(400)} There is room for 77 tokens.`
    expect(change(said, { call: { maxOutputTokens: 500 } })?.call.maxOutputTokens).toBe(77)
    expect(change(ofRoom(400), { call: { maxOutputTokens: 500 } })?.call.maxOutputTokens).toBe(300)
  })

  test('numbers that stand in fields count where the words have none', () => {
    const numbers = { contextTokens: 400, requestedTokens: 600 }
    const given: Given = { reason: 'context-length', call: { maxOutputTokens: 500 }, numbers }
    expect(change('the request exceeds the available context size', given)?.call.maxOutputTokens).toBe(300)
  })

  test('a ceiling is kept, room and balance are not', () => {
    const call = { maxOutputTokens: 500 }
    const balance = 'You requested up to 500 tokens, but can only afford 301'
    const kept = [ofCeiling(100), ofRoom(400), balance].map(said => fixOf(said, { call })?.keep)
    expect(kept).toEqual(['target', 'call', 'call'])
  })
})

describe('stream', () => {
  test('only what streams is asked without', () => {
    expect(change('Streaming is not supported')?.stream).toBe(false)
    expect(fixOf('Streaming is not supported', { stream: false })).toBeUndefined()
  })

  test.each([
    ['permission', 403],
    ['not-found', 404],
    ['server-error', 501],
  ] as const)('a %s says it too', (reason, status) => {
    expect(change('Streaming is not supported', { reason, status })?.stream).toBe(false)
  })

  test('the name of the parameter is enough', () => {
    expect(change('Unsupported value. param: stream')?.stream).toBe(false)
    expect(fixOf('Bad value. param: stream_options.x')?.field).not.toBe('stream')
  })

  test('a rate limit on streams is none', () => {
    expect(fixOf('Streaming is not available', { reason: 'rate-limit', status: 429 })).toBeUndefined()
  })
})

describe('roles', () => {
  const developer = { dialect: { instructionRole: 'developer' } } as const
  test.each([
    ['Invalid role. Allowed roles: system, user, assistant', developer, 'system'],
    ["Invalid value: 'system'. Supported roles are developer, user", {}, 'developer'],
    ['System role not supported', {}, 'user'],
    ['Unexpected message role.', developer, 'system'],
  ] as const)('%s', (said, given, role) => {
    expect(change(said, given)?.dialect.instructionRole).toBe(role)
  })

  test('another role that is refused, or one that is listed as good, changes nothing', () => {
    expect(fixOf('Roles: system, user, assistant are fine')).toBeUndefined()
    expect(fixOf('Unexpected role: tool', developer)).toBeUndefined()
    expect(fixOf('Unexpected message role.')).toBeUndefined()
  })
})

describe('reasoning', () => {
  const dialect: Partial<Dialect> = { reasoning: level => ({ reasoning_effort: level }) }
  const tools: Call['tools'] = { t: { inputSchema: { type: 'object' } } }
  const thoughtful: Call['messages'] = [...turn, { role: 'assistant', content: 'a', reasoningText: 'r' }, ...turn]
  const noTools = "Function tools with reasoning are not supported. Set reasoning_effort to 'none'."

  test('tools without reasoning: only where there are tools and a switch', () => {
    expect(change(noTools, { dialect, call: { tools } })?.call.reasoning).toBe('off')
    expect(fixOf(noTools, { call: { tools } })?.field).not.toBe('reasoning')
    const fix = fixOf(noTools, { dialect, call: { tools } })
    const plain = askedFor({ dialect })
    expect(fix?.change(plain)).toBe(plain)
  })

  test.each([
    ["reasoning_effort: Input should be 'low', 'medium'", 'off', undefined],
    ["reasoning_effort: Input should be 'low', 'medium'", 'max', 'high'],
    ["Unsupported value: 'reasoning_effort' does not support 'none'", 'off', 'low'],
    ["Unsupported value: 'reasoning_effort' does not support 'max'", 'max', 'high'],
  ] as const)('%s: %s becomes %s', (said, reasoning, other) => {
    const given: Given = { dialect, call: { reasoning } }
    const fix = fixOf(said, given)
    expect(fix?.change(askedFor(given)).call.reasoning).toBe(other)
    // a call with another level is not what was refused
    const another = askedFor({ dialect, call: { reasoning: 'high' } })
    expect(fix?.change(another)).toBe(another)
  })

  test('thoughts and no answer: only where something was thought, and for this call alone', () => {
    const given: Given = { reason: 'empty', status: 200, dialect }
    expect(fixOf('', given)).toBeUndefined()
    expect(fixOf('', { ...given, dialect: {}, reasoned: true })).toBeUndefined()
    expect(fixOf('', { ...given, reasoned: true })).toMatchObject({ field: 'reasoning', keep: 'call' })
  })

  test('thoughts of earlier turns are taken away only where they were sent and refused there', () => {
    const keep: Partial<Dialect> = { reasoningHistory: 'keep' }
    const given: Given = { dialect: keep, call: { messages: thoughtful } }
    expect(change("messages.1: property 'reasoning_content' is unsupported", given)?.dialect.reasoningHistory).toBe('strip')
    expect(fixOf("messages.1: property 'reasoning_content' is unsupported", { dialect: keep })).toBeUndefined()
    expect(fixOf('messages.1.reasoning_content is too long', given)).toBeUndefined()
    expect(fixOf('messages.1.reasoning_content is missing', given)?.field).toBe('reasoningHistory')
    expect(fixOf('messages.1.reasoning_content: bad text', given)).toBeUndefined()
  })
})

describe('fields', () => {
  test('the other name of the limit: only where a limit was sent, and once', () => {
    const said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    expect(change(said, { call: { maxOutputTokens: 9 } })?.dialect.tokenLimit).toBe('max_completion_tokens')
    expect(fixOf(said)).toBeUndefined()
    const fix = fixOf(said, { call: { maxOutputTokens: 9 } })
    const done = askedFor({ call: { maxOutputTokens: 9 }, dialect: { tokenLimit: 'max_completion_tokens' } })
    expect(fix?.change(done)).toBe(done)
  })

  test('a choice of tools is left out only where the model was free', () => {
    const tools: Call['tools'] = { t: { inputSchema: { type: 'object' } } }
    const said = 'Unrecognized request argument supplied: tool_choice'
    expect(change(said, { call: { tools, toolChoice: 'auto' } })?.dialect.omit).toEqual(['tool_choice'])
    expect(fixOf(said, { call: { tools, toolChoice: 'required' } })).toBeUndefined()
  })

  test('a field that is left out is not left out again', () => {
    const fix = fixOf('Unknown parameter: seed', { call: { seed: 7 } })
    const done = askedFor({ call: { seed: 7 }, dialect: { omit: ['seed'] } })
    expect(fix?.change(done)).toBe(done)
  })

  test.each(['messages.0.seed is not permitted', 'seeds are not allowed', 'unknown error: reseed', 'x.seed.y: not permitted'])(
    'does not name seed: %s',
    said => expect(fixOf(said, { call: { seed: 7 } })).toBeUndefined(),
  )

  test('strict of a tool goes, and the tools stay', () => {
    const tools: Call['tools'] = { t: { inputSchema: { type: 'object' }, strict: false } }
    const said = "tools.0.function: property 'strict' is unsupported"
    expect(change(said, { call: { tools } })?.call.tools).toEqual({ t: { inputSchema: { type: 'object' }, strict: undefined } })
    expect(fixOf(said, { call: { tools: { t: { inputSchema: { type: 'object' } } } } })).toBeUndefined()
  })
})

describe('schemas', () => {
  const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false }
  const output: Call['output'] = { type: 'json', schema }
  const held: Given = { dialect: { capabilities: { output: 'json-schema' } }, call: { output } }
  const strictly = "Invalid schema for response_format 'answer': 'allOf' is not permitted"
  const formOf = (asked: Asked | undefined) => asked?.dialect.capabilities.output

  test('first without strict, then as JSON mode, then in words', () => {
    const first = fixOf(strictly, held)
    expect(first?.field).toBe('output:strict')
    const loose = first?.change(askedFor(held)) ?? askedFor(held)
    const again: Given = { ...held, dialect: loose.dialect, fixes: first === undefined ? [] : [first] }
    expect(formOf(change(strictly, again))).toBe('json-object')
    expect(formOf(change('no grammar for it', { ...held, dialect: { capabilities: { output: 'json-object' } } }))).toBe('prompt')
    expect(formOf(change('no response_format', { ...held, call: { output: { type: 'json' } } }))).toBe('prompt')
  })

  test('a server that has no such mode is remembered, one that cannot read this schema is not', () => {
    expect(fixOf('response_format json_schema is not supported', held)?.keep).toBe('target')
    expect(fixOf('xgrammar: response_format uses a feature', held)?.keep).toBe('call')
  })

  test.each(['server-error', 'invalid-output', 'not-found'] as const)('a %s says it too, but not inside a 200', reason => {
    expect(formOf(change('failed to parse grammar', { ...held, reason, status: 500 }))).toBe('json-object')
    expect(fixOf('failed to parse grammar', { ...held, reason, status: 200 })).toBeUndefined()
  })

  test('a rate limit is none', () => {
    expect(fixOf(strictly, { ...held, reason: 'rate-limit', status: 429 })).toBeUndefined()
  })

  test('tools keep what every converter knows, and only where no typed answer was asked for', () => {
    const deep = { type: 'object', properties: { a: { type: 'string', enum: ['x'], minLength: 2 } }, $defs: {} }
    const tools: Call['tools'] = { t: { inputSchema: deep } }
    const sent = change('grammar error', { call: { tools } })?.call.tools?.['t']?.inputSchema
    expect(sent).toEqual({ type: 'object', properties: { a: { type: 'string', enum: ['x'] } } })
    expect(fixOf('grammar error', { ...held, call: { tools, output } })?.field).toBe('output:json-object')
    let nested: Record<string, unknown> = { type: 'string' }
    for (let depth = 0; depth < 40; depth++) nested = { type: 'array', items: nested }
    const cut = change('grammar error', { call: { tools: { t: { inputSchema: nested } } } })
    expect(JSON.stringify(cut?.call.tools)).not.toContain('string')
  })

  test('only tools that are strict lose it', () => {
    const tools: Call['tools'] = { a: { inputSchema: schema, strict: true }, b: { inputSchema: schema } }
    const said = "Invalid schema for function 'a': not allowed"
    expect(change(said, { call: { tools } })?.call.tools).toMatchObject({ a: { strict: false }, b: { inputSchema: schema } })
    expect(change(said, { call: { tools } })?.call.tools?.['b']?.strict).toBeUndefined()
  })
})

describe('ids', () => {
  const withId = (toolCallId: string): Partial<Call> => ({
    messages: [
      ...turn,
      { role: 'assistant', content: '', toolCalls: [{ toolCallId, toolName: 't', input: {} }] },
      { role: 'tool', toolCallId, content: '1' },
    ],
  })
  test.each([
    ['tool_call_id must only contain letters', 'a:b', 'plain'],
    ['tool_call_id is too long', 'x'.repeat(41), 'short'],
    ['tool_call_id is too long', 'x'.repeat(40), 'nine'],
    ['tool call id must be 9 characters', 'a:b', 'nine'],
  ])('%s', (said, id, form) => {
    expect(change(said, { call: withId(id) })?.dialect.toolCallIds).toBe(form)
  })

  test('ids that would stay are not written anew, and a missing one is another matter', () => {
    expect(fixOf('tool_call_id is too long', { call: withId('abcdefghi') })).toBeUndefined()
    expect(fixOf('tool_call_id a:b was not found', { call: withId('a:b') })).toBeUndefined()
    expect(fixOf('tool_call_id is too long', { call: withId('a:b'), reason: 'overloaded' })).toBeUndefined()
  })
})

describe('memory', () => {
  const fix = (field: string, keep: RequestFix['keep'] = 'target'): RequestFix => ({
    field,
    keep,
    setting: field,
    message: '',
    change: asked => ({ ...asked }),
  })

  test('the same is not changed twice in a call, and four things at most', () => {
    const known = fixOf('Unknown parameter: seed', { call: { seed: 7 } })
    expect(known).toBeDefined()
    const fixes = known === undefined ? [] : [known]
    expect(fixOf('Unknown parameter: seed', { call: { seed: 7 }, fixes })).toBeUndefined()
    const four = ['a', 'b', 'c', 'd'].map(field => fix(field))
    expect(fixOf('Unknown parameter: seed', { call: { seed: 7 }, fixes: four.slice(1) })).toBeDefined()
    expect(fixOf('Unknown parameter: seed', { call: { seed: 7 }, fixes: four })).toBeUndefined()
  })

  test('what is about one call is forgotten, the newest of a field counts, and 32 are kept', () => {
    const memory: FixMemory = { fixes: [] }
    const [first, second] = [fix('a'), fix('a')]
    keepFixes(memory, [first, fix('b', 'call')])
    expect(memory.fixes).toEqual([first])
    const before = memory.fixes
    keepFixes(memory, [first])
    expect(memory.fixes).toBe(before)
    keepFixes(memory, [second])
    expect(memory.fixes).toEqual([second])
    for (let number = 0; number < 40; number++) keepFixes(memory, [fix(`f${number}`)])
    expect(memory.fixes.map(({ field }) => field)).toEqual(Array.from({ length: 32 }, (_, at) => `f${at + 8}`))
  })

  test('only what changed something is told', () => {
    const asked = askedFor({})
    const idle: RequestFix = { ...fix('idle'), change: same => same }
    const busy = fix('busy')
    expect(withFixes(asked, [idle, busy]).applied).toEqual([busy])
  })
})

describe('what services say besides (F40, F41, F42, F43, F45)', () => {
  const room = { call: { maxOutputTokens: 32_000 } } as const

  test.each([
    ['Zhipu', 'max_tokens 参数非法：取值范围 1-8192', 8_192],
    ['Moonshot', 'Invalid request: max_tokens too large, max allowed is 8192', 8_192],
    ['a range', "'max_tokens' must be in 1..8192", 8_192],
    ['a value behind its limit', 'Invalid value for max_tokens: 32000. It must be between 1 and 8192 inclusive.', 8_192],
    ['Chinese', '参数 max_tokens 超出范围，最大值为 4096，您输入了 32000', 4_096],
    ['a number of thousands', 'max_tokens must be at most 8k', 8_000],
  ])('F41: %s names its limit', (_, said, most) => {
    expect(change(said, room)?.call.maxOutputTokens).toBe(most)
  })

  test('F42: SiliconFlow names the total and the context, so the room is what our output leaves', () => {
    const said = 'max_total_tokens (40000) must be less than or equal to max_seq_len (32768)'
    expect(change(said, { ...room, reason: 'context-length' })?.call.maxOutputTokens).toBe(24_768)
  })

  test('F40: a model that takes only other requests', () => {
    expect(change('This model only supports non-streaming requests.')?.stream).toBe(false)
  })

  test('F45: a role that is refused as a value, without the word', () => {
    const said = "Invalid value: 'developer'. Supported values are: 'system', 'assistant', 'user', and 'tool'."
    expect(change(said, { dialect: { instructionRole: 'developer' } })?.dialect.instructionRole).toBe('system')
  })

  test('F43: SiliconFlow has no JSON mode', () => {
    const given: Given = { call: { output: { type: 'json' } }, dialect: { capabilities: { output: 'json-object' } } }
    expect(change('Json mode is not supported for this model.', given)?.dialect.capabilities.output).toBe('prompt')
  })

  test('F44: parameters in a list with an ending in brackets', () => {
    expect(change('unexpected parameter(s): seed', { call: { seed: 5 } })?.dialect.omit).toEqual(['seed'])
  })

  test('F40: Zhipu does not stream a model', () => {
    expect(change('当前模型不支持SSE调用方式')?.stream).toBe(false)
  })

  test.each([
    'This model only support stream mode, please enable the stream parameter to access the model.',
    'stream must be true for this model',
    'parameter.enable_thinking must be set to false for non-streaming calls',
    '该模型仅支持流式输出',
  ])('F40, the reverse: %s', said => {
    expect(change(said, { stream: false })?.stream).toBe(true)
    expect(fixOf(said)?.field).not.toBe('stream')
  })

  test('F45: Gemma takes no instructions, whatever the role is called', () => {
    const said = 'Developer instruction is not enabled for models/gemma-3-27b-it'
    expect(change(said)?.dialect.instructionRole).toBe('user')
  })

  test('F45: the order of the turns is no matter of roles', () => {
    expect(fixOf('Conversation roles must alternate user/assistant/user/assistant/...')).toBeUndefined()
    expect(fixOf('Expected last role User or Tool (or Assistant with prefix True) but got assistant')).toBeUndefined()
  })

  test('F43: Gemini does not know a keyword in the schema of a tool', () => {
    const tools = { get: { inputSchema: { type: 'object', properties: { city: { type: 'string', pattern: '^a' } } } } }
    const said = `Unknown name "pattern" at 'tools[0].function_declarations[0].parameters.properties[0].value': Cannot find field.`
    expect(JSON.stringify(change(said, { call: { tools } })?.call.tools)).not.toContain('pattern')
  })

  test('an effort that is refused by its value, and named as the parameter', () => {
    const said = "Invalid value: 'xhigh'. Supported values are: 'low', 'medium', 'high'. (param: reasoning_effort)"
    expect(change(said, { call: { reasoning: 'max' }, dialect: { reasoning: () => ({}) } })?.call.reasoning).toBe('high')
  })

  test('F74: what is quoted of the conversation names no remedy', () => {
    const content = 'My boss wants that you set stream to false, because streaming is not supported at our place.'
    const said = `Cannot read the message: ${content}`
    expect(fixOf(said, { call: { messages: [{ role: 'user', content }] } })).toBeUndefined()
    expect(fixOf(said)?.field).toBe('stream')
  })
})
