import { describe, expect, test } from 'vitest'
import type { Call, FailureReason } from '../../../../src/contract.ts'
import { ProviderError } from '../../../../src/errors.ts'
import type { Dialect } from '../../../../src/providers/chat-completions/dialect.ts'
import { plainDialect } from '../../../../src/providers/chat-completions/dialect.ts'
import { encode } from '../../../../src/providers/chat-completions/encode.ts'
import type { Asked, Repair } from '../../../../src/providers/chat-completions/repair-row.ts'
import { tokenLimitOf } from '../../../../src/providers/chat-completions/repair-row.ts'
import type { RepairMemory } from '../../../../src/providers/chat-completions/repair.ts'
import { keepRepairs, repairFor, withRepairs } from '../../../../src/providers/chat-completions/repair.ts'

/** Every row by itself: what is said of a request, and what becomes of the request. */
type Given = {
  readonly call?: Partial<Call>
  readonly dialect?: Partial<Dialect>
  readonly stream?: boolean
  readonly reason?: FailureReason
  readonly status?: number
  readonly reasoned?: boolean
  readonly repairs?: readonly Repair[]
  readonly numbers?: { readonly contextTokens?: number; readonly requestedTokens?: number }
}

const turn: Call['messages'] = [{ role: 'user', content: 'Hi' }]

function askedFor({ call, dialect, stream = true }: Given): Asked {
  return { call: { model: 'm', metadata: {}, messages: turn, ...call }, dialect: { ...plainDialect, ...dialect }, stream }
}

function repairOf(said: string, given: Given = {}): Repair | undefined {
  const { reason = 'invalid-request', status = 400, reasoned = false, repairs = [], numbers = {} } = given
  const asked = askedFor(given)
  const { body } = encode(asked.call, asked.dialect, { stream: asked.stream })
  const error = new ProviderError('Refused.', { reason, status, said, ...numbers })
  return repairFor(error, { asked, repairs, fields: Object.keys(body), limit: tokenLimitOf(body), reasoned })
}

function change(said: string, given: Given = {}): Asked | undefined {
  return repairOf(said, given)?.change(askedFor(given))
}

describe('tokens', () => {
  const ofCeiling = (most: number) => `This model supports at most ${most} completion tokens`
  const ofRoom = (context: number) =>
    `This model's maximum context length is ${context} tokens. However, you requested 600 tokens (100 in the messages, 500 in the completion).`

  test('16 are an answer, 15 are not', () => {
    expect(change(ofCeiling(16), { call: { maxOutputTokens: 500 } })?.call.maxOutputTokens).toBe(16)
    expect(repairOf(ofCeiling(15), { call: { maxOutputTokens: 500 } })).toBeUndefined()
  })

  test('a limit that is taken already is not asked for again', () => {
    expect(repairOf(ofCeiling(500), { call: { maxOutputTokens: 500 } })).toBeUndefined()
    expect(repairOf(ofCeiling(500), { call: { maxOutputTokens: 501 } })?.message).toContain('500 of the 501 tokens')
  })

  test('what was sent counts, not what the server says was sent', () => {
    const said = 'This model supports at most 600 completion tokens, whereas you provided 500'
    expect(change(said, { call: { maxOutputTokens: 700 } })?.call.maxOutputTokens).toBe(600)
  })

  test.each(['rate-limit', 'content-filter', 'authentication'] as const)('a refusal that is %s names no limit', reason => {
    expect(repairOf(ofCeiling(100), { reason, status: 429, call: { maxOutputTokens: 500 } })).toBeUndefined()
    expect(repairOf(ofRoom(400), { reason, status: 429, call: { maxOutputTokens: 500 } })).toBeUndefined()
  })

  test('a 500 with a limit is about the request; an error in a 200 that failed by itself is not', () => {
    const call = { maxOutputTokens: 500 }
    expect(change(ofCeiling(100), { reason: 'server-error', status: 500, call })?.call.maxOutputTokens).toBe(100)
    expect(repairOf(ofCeiling(100), { reason: 'server-error', status: 200, call })).toBeUndefined()
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
    const kept = [ofCeiling(100), ofRoom(400), balance].map(said => repairOf(said, { call })?.keep)
    expect(kept).toEqual(['target', 'call', 'call'])
  })
})

describe('stream', () => {
  test('only what streams is asked without', () => {
    expect(change('Streaming is not supported')?.stream).toBe(false)
    expect(repairOf('Streaming is not supported', { stream: false })).toBeUndefined()
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
    expect(repairOf('Bad value. param: stream_options.x')?.field).not.toBe('stream')
  })

  test('a rate limit on streams is none', () => {
    expect(repairOf('Streaming is not available', { reason: 'rate-limit', status: 429 })).toBeUndefined()
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
    expect(repairOf('Roles: system, user, assistant are fine')).toBeUndefined()
    expect(repairOf('Unexpected role: tool', developer)).toBeUndefined()
    expect(repairOf('Unexpected message role.')).toBeUndefined()
  })
})

describe('reasoning', () => {
  const dialect: Partial<Dialect> = { reasoning: level => ({ reasoning_effort: level }) }
  const tools: Call['tools'] = { t: { inputSchema: { type: 'object' } } }
  const thoughtful: Call['messages'] = [...turn, { role: 'assistant', content: 'a', reasoningText: 'r' }, ...turn]
  const noTools = "Function tools with reasoning are not supported. Set reasoning_effort to 'none'."

  test('tools without reasoning: only where there are tools and a switch', () => {
    expect(change(noTools, { dialect, call: { tools } })?.call.reasoning).toBe('off')
    expect(repairOf(noTools, { call: { tools } })?.field).not.toBe('reasoning')
    const repair = repairOf(noTools, { dialect, call: { tools } })
    const plain = askedFor({ dialect })
    expect(repair?.change(plain)).toBe(plain)
  })

  test.each([
    ["reasoning_effort: Input should be 'low', 'medium'", 'off', undefined],
    ["reasoning_effort: Input should be 'low', 'medium'", 'max', 'high'],
    ["Unsupported value: 'reasoning_effort' does not support 'none'", 'off', 'low'],
    ["Unsupported value: 'reasoning_effort' does not support 'max'", 'max', 'high'],
  ] as const)('%s: %s becomes %s', (said, reasoning, other) => {
    const given: Given = { dialect, call: { reasoning } }
    const repair = repairOf(said, given)
    expect(repair?.change(askedFor(given)).call.reasoning).toBe(other)
    // a call with another level is not what was refused
    const another = askedFor({ dialect, call: { reasoning: 'high' } })
    expect(repair?.change(another)).toBe(another)
  })

  test('thoughts and no answer: only where something was thought, and for this call alone', () => {
    const given: Given = { reason: 'empty', status: 200, dialect }
    expect(repairOf('', given)).toBeUndefined()
    expect(repairOf('', { ...given, dialect: {}, reasoned: true })).toBeUndefined()
    expect(repairOf('', { ...given, reasoned: true })).toMatchObject({ field: 'reasoning', keep: 'call' })
  })

  test('thoughts of earlier turns are taken away only where they were sent and refused there', () => {
    const keep: Partial<Dialect> = { reasoningHistory: 'keep' }
    const given: Given = { dialect: keep, call: { messages: thoughtful } }
    expect(change("messages.1: property 'reasoning_content' is unsupported", given)?.dialect.reasoningHistory).toBe('strip')
    expect(repairOf("messages.1: property 'reasoning_content' is unsupported", { dialect: keep })).toBeUndefined()
    expect(repairOf('messages.1.reasoning_content is too long', given)).toBeUndefined()
    expect(repairOf('messages.1.reasoning_content is missing', given)?.field).toBe('reasoningHistory')
    expect(repairOf('messages.1.reasoning_content: bad text', given)).toBeUndefined()
  })
})

describe('fields', () => {
  test('the other name of the limit: only where a limit was sent, and once', () => {
    const said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    expect(change(said, { call: { maxOutputTokens: 9 } })?.dialect.tokenLimit).toBe('max_completion_tokens')
    expect(repairOf(said)).toBeUndefined()
    const repair = repairOf(said, { call: { maxOutputTokens: 9 } })
    const done = askedFor({ call: { maxOutputTokens: 9 }, dialect: { tokenLimit: 'max_completion_tokens' } })
    expect(repair?.change(done)).toBe(done)
  })

  test('a choice of tools is left out only where the model was free', () => {
    const tools: Call['tools'] = { t: { inputSchema: { type: 'object' } } }
    const said = 'Unrecognized request argument supplied: tool_choice'
    expect(change(said, { call: { tools, toolChoice: 'auto' } })?.dialect.omit).toEqual(['tool_choice'])
    expect(repairOf(said, { call: { tools, toolChoice: 'required' } })).toBeUndefined()
  })

  test('a field that is left out is not left out again', () => {
    const repair = repairOf('Unknown parameter: seed', { call: { seed: 7 } })
    const done = askedFor({ call: { seed: 7 }, dialect: { omit: ['seed'] } })
    expect(repair?.change(done)).toBe(done)
  })

  test.each(['messages.0.seed is not permitted', 'seeds are not allowed', 'unknown error: reseed', 'x.seed.y: not permitted'])(
    'does not name seed: %s',
    said => expect(repairOf(said, { call: { seed: 7 } })).toBeUndefined(),
  )

  test('strict of a tool goes, and the tools stay', () => {
    const tools: Call['tools'] = { t: { inputSchema: { type: 'object' }, strict: false } }
    const said = "tools.0.function: property 'strict' is unsupported"
    expect(change(said, { call: { tools } })?.call.tools).toEqual({ t: { inputSchema: { type: 'object' }, strict: undefined } })
    expect(repairOf(said, { call: { tools: { t: { inputSchema: { type: 'object' } } } } })).toBeUndefined()
  })
})

describe('schemas', () => {
  const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false }
  const output: Call['output'] = { type: 'json', schema }
  const held: Given = { dialect: { capabilities: { output: 'json-schema' } }, call: { output } }
  const strictly = "Invalid schema for response_format 'answer': 'allOf' is not permitted"
  const formOf = (asked: Asked | undefined) => asked?.dialect.capabilities.output

  test('first without strict, then as JSON mode, then in words', () => {
    const first = repairOf(strictly, held)
    expect(first?.field).toBe('output:strict')
    const loose = first?.change(askedFor(held)) ?? askedFor(held)
    const again: Given = { ...held, dialect: loose.dialect, repairs: first === undefined ? [] : [first] }
    expect(formOf(change(strictly, again))).toBe('json-object')
    expect(formOf(change('no grammar for it', { ...held, dialect: { capabilities: { output: 'json-object' } } }))).toBe('prompt')
    expect(formOf(change('no response_format', { ...held, call: { output: { type: 'json' } } }))).toBe('prompt')
  })

  test('a server that has no such mode is remembered, one that cannot read this schema is not', () => {
    expect(repairOf('response_format json_schema is not supported', held)?.keep).toBe('target')
    expect(repairOf('xgrammar: response_format uses a feature', held)?.keep).toBe('call')
  })

  test.each(['server-error', 'invalid-output', 'not-found'] as const)('a %s says it too, but not inside a 200', reason => {
    expect(formOf(change('failed to parse grammar', { ...held, reason, status: 500 }))).toBe('json-object')
    expect(repairOf('failed to parse grammar', { ...held, reason, status: 200 })).toBeUndefined()
  })

  test('a rate limit is none', () => {
    expect(repairOf(strictly, { ...held, reason: 'rate-limit', status: 429 })).toBeUndefined()
  })

  test('tools keep what every converter knows, and only where no typed answer was asked for', () => {
    const deep = { type: 'object', properties: { a: { type: 'string', enum: ['x'], minLength: 2 } }, $defs: {} }
    const tools: Call['tools'] = { t: { inputSchema: deep } }
    const sent = change('grammar error', { call: { tools } })?.call.tools?.['t']?.inputSchema
    expect(sent).toEqual({ type: 'object', properties: { a: { type: 'string', enum: ['x'] } } })
    expect(repairOf('grammar error', { ...held, call: { tools, output } })?.field).toBe('output:json-object')
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
    expect(repairOf('tool_call_id is too long', { call: withId('abcdefghi') })).toBeUndefined()
    expect(repairOf('tool_call_id a:b was not found', { call: withId('a:b') })).toBeUndefined()
    expect(repairOf('tool_call_id is too long', { call: withId('a:b'), reason: 'overloaded' })).toBeUndefined()
  })
})

describe('memory', () => {
  const repair = (field: string, keep: Repair['keep'] = 'target'): Repair => ({
    field,
    keep,
    setting: field,
    message: '',
    change: asked => ({ ...asked }),
  })

  test('the same is not changed twice in a call, and four things at most', () => {
    const known = repairOf('Unknown parameter: seed', { call: { seed: 7 } })
    expect(known).toBeDefined()
    const repairs = known === undefined ? [] : [known]
    expect(repairOf('Unknown parameter: seed', { call: { seed: 7 }, repairs })).toBeUndefined()
    const four = ['a', 'b', 'c', 'd'].map(field => repair(field))
    expect(repairOf('Unknown parameter: seed', { call: { seed: 7 }, repairs: four.slice(1) })).toBeDefined()
    expect(repairOf('Unknown parameter: seed', { call: { seed: 7 }, repairs: four })).toBeUndefined()
  })

  test('what is about one call is forgotten, the newest of a field counts, and 32 are kept', () => {
    const memory: RepairMemory = { repairs: [] }
    const [first, second] = [repair('a'), repair('a')]
    keepRepairs(memory, [first, repair('b', 'call')])
    expect(memory.repairs).toEqual([first])
    const before = memory.repairs
    keepRepairs(memory, [first])
    expect(memory.repairs).toBe(before)
    keepRepairs(memory, [second])
    expect(memory.repairs).toEqual([second])
    for (let number = 0; number < 40; number++) keepRepairs(memory, [repair(`f${number}`)])
    expect(memory.repairs.map(({ field }) => field)).toEqual(Array.from({ length: 32 }, (_, at) => `f${at + 8}`))
  })

  test('only what changed something is told', () => {
    const asked = askedFor({})
    const idle: Repair = { ...repair('idle'), change: same => same }
    const busy = repair('busy')
    expect(withRepairs(asked, [idle, busy]).applied).toEqual([busy])
  })
})
