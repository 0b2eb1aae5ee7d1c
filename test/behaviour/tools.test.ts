import { expect, test } from 'vitest'
import { z } from 'zod'
import { ChainExhaustedError, createClient, type Message, runTools, RunToolsError, type ToolStep, UnbusyError } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'
import { failureOf } from '../helpers/failures.ts'

const weather = { description: 'Tells the weather.', inputSchema: z.object({ city: z.string(), days: z.number().default(1) }) }
const call = (input: unknown, toolName = 'weather') => ({ toolCalls: [{ toolCallId: 'call_1', toolName, input }] })
const tools = { weather }

test('a tool call is handed out with its input validated, and the model is shown JSON Schema', async () => {
  const target = fakeTarget(call({ city: 'Oslo' }))
  const result = await createClient({ chain: [target] }).generate({ prompt: 'Weather?', tools })
  expect(result.toolCalls).toEqual([{ toolCallId: 'call_1', toolName: 'weather', input: { city: 'Oslo', days: 1 } }])
  expect(result.finishReason).toBe('tool-calls')
  expect(target.provider.calls[0]?.call.tools?.['weather']).toMatchObject({
    description: 'Tells the weather.',
    inputSchema: { type: 'object', required: ['city'] },
  })
})

test.for([
  ['an input that misses the schema', call({ town: 'Oslo' })],
  ['no input where one is needed', call({})],
  ['a tool that there is not', call({ city: 'Oslo' }, 'news')],
  ['a tool named like a method of every object', call({}, 'toString')],
] as const)('%s is a failure, and the next target answers (R126)', async ([, answer]) => {
  const chain = [fakeTarget(answer, { name: 'first' }), fakeTarget(call({ city: 'Oslo' }), { name: 'second' })]
  const client = createClient({ chain })
  const result = await client.generate({ prompt: 'Weather?', tools })
  expect(result).toMatchObject({ provider: 'second', toolCalls: [{ input: { city: 'Oslo' } }] })
  expect(result.attempts[0]).toMatchObject({ reason: 'invalid-output' })
})

test('repair tells the same target what was wrong with its call, as the result of that call', async () => {
  const wrong = { toolCallId: 'b', toolName: 'weather', input: { town: 'Rome' } }
  const calls = [{ toolCallId: 'a', toolName: 'weather', input: { city: 'Oslo' } }, wrong]
  const target = fakeTarget([{ toolCalls: calls }, call({ city: 'Oslo' })], { retry: 0 })
  const result = await createClient({ chain: [target], repair: 1 }).generate({ prompt: 'Weather?', tools })
  expect(result.toolCalls).toMatchObject([{ input: { city: 'Oslo' } }])
  expect(target.provider.calls[1]?.call.messages).toEqual([
    { role: 'user', content: 'Weather?' },
    { role: 'assistant', content: '', toolCalls: calls },
    { role: 'tool', toolCallId: 'a', toolName: 'weather', content: expect.stringContaining('Not executed') },
    { role: 'tool', toolCallId: 'b', toolName: 'weather', content: expect.stringMatching(/^Error: .*\n- city: .*\nCall again/) },
  ])
})

test('a call of a tool that there is not is told so as its result', async () => {
  const target = fakeTarget([call({ city: 'Oslo' }, 'news'), call({ city: 'Oslo' })], { retry: 0 })
  await createClient({ chain: [target], repair: 1 }).generate({ prompt: 'Weather?', tools })
  expect(target.provider.calls[1]?.call.messages.at(-1)).toMatchObject({
    ...{ role: 'tool', toolCallId: 'call_1' },
    content: expect.stringContaining('it calls a tool that does not exist'),
  })
})

test('a stream hands a tool call out when its input is validated, and once', async () => {
  const target = fakeTarget(call({ city: 'Oslo' }))
  const types: string[] = []
  for await (const event of await createClient({ chain: [target] }).stream({ prompt: 'Weather?', tools })) {
    types.push(event.type)
    if (event.type === 'tool-call') expect(event.input).toEqual({ city: 'Oslo', days: 1 })
  }
  expect(types.filter(type => type === 'tool-call')).toHaveLength(1)
  expect(types.slice(-2)).toEqual(['tool-call', 'finish'])
})

test('a stream never hands out a tool call whose input misses the schema (R126)', async () => {
  const stream = await createClient({ chain: [fakeTarget(call({ town: 'Oslo' }))] }).stream({ prompt: 'Weather?', tools })
  const types: string[] = []
  const read = async () => {
    for await (const event of stream) types.push(event.type)
  }
  await expect(read()).rejects.toMatchObject({ name: 'StreamInterruptedError', failure: { reason: 'invalid-output' } })
  expect(types).not.toContain('tool-call')
})

test('an answer with a tool call under way is begun anew, never gone on with (R124)', async () => {
  const broken = fakeTarget({ ...call({ city: 'Oslo' }), text: 'Let me look. ', cutAfterChunks: 2 }, { name: 'broken', retry: 0 })
  const able = fakeTarget(call({ city: 'Oslo' }), { name: 'able', capabilities: { prefix: true } })
  const client = createClient({ chain: [broken, able], afterFirstToken: 'continue' })
  const stream = await client.stream({ prompt: 'Weather?', tools })
  expect(await stream.result()).toMatchObject({ provider: 'able' })
  expect(able.provider.calls[0]?.call.prefix).toBeUndefined()
})

test('toolChoice that names no tool is refused before anything is sent', async () => {
  const target = fakeTarget('Hi')
  const client = createClient({ chain: [target] })
  const input = { prompt: 'Hi', tools, toolChoice: { toolName: 'wether' } }
  // @ts-expect-error there is no such tool
  await expect(client.generate(input)).rejects.toThrow(/Did you mean 'weather'/)
  expect(target.provider.calls).toEqual([])
})

const twoCalls = {
  toolCalls: [
    { toolCallId: 'a', toolName: 'weather', input: { city: 'Oslo' } },
    { toolCallId: 'b', toolName: 'weather', input: { city: 'Rome' } },
  ],
}

test('runTools executes what the model calls, side by side, and asks again with what came of it', async () => {
  const target = fakeTarget([twoCalls, 'Rome is warmer.'])
  const bothRun = Promise.withResolvers<void>()
  const cities: string[] = []
  const result = await runTools(createClient({ chain: [target] }), 'Where is it warmer?', {
    tools: {
      weather: {
        ...weather,
        async execute({ city }) {
          if (cities.push(city) === 2) bothRun.resolve()
          await bothRun.promise
          return { city, celsius: city === 'Oslo' ? -3 : 18 }
        },
      },
    },
  })
  expect(result).toMatchObject({ text: 'Rome is warmer.', steps: [{ toolResults: [{ result: { celsius: -3 } }, {}] }, {}] })
  expect(target.provider.calls[1]?.call.messages.slice(1)).toMatchObject([
    { role: 'assistant', toolCalls: [{ toolCallId: 'a' }, { toolCallId: 'b' }] },
    { role: 'tool', toolCallId: 'a', toolName: 'weather', content: '{"city":"Oslo","celsius":-3}' },
    { role: 'tool', toolCallId: 'b', content: '{"city":"Rome","celsius":18}' },
  ])
  expect(result.messages.at(-1)).toMatchObject({ role: 'assistant', content: 'Rome is warmer.' })
})

test('each step walks the chain by itself, and a retried step executes its tools once', async () => {
  const first = fakeTarget([{ ...twoCalls, cutAfterChunks: 1 }, twoCalls, { error: 'overloaded' }], { name: 'first' })
  const client = createClient({ chain: [first, fakeTarget('Rome.', { name: 'second' })], retry: { baseDelayMs: 1 } })
  let executed = 0
  const result = await runTools(client, 'Where?', { tools: { weather: { ...weather, execute: () => ++executed } } })
  expect(result.steps.map(({ provider }) => provider)).toEqual(['first', 'second'])
  expect(executed).toBe(2)
})

test('the model is told what a tool threw, or the run rejects with it', async () => {
  const target = () => fakeTarget([call({ city: 'Oslo' }), 'I cannot tell.'])
  const execute = () => {
    throw new RangeError('no such city')
  }
  const told = target()
  const run = { tools: { weather: { ...weather, execute } } }
  const result = await runTools(createClient({ chain: [told] }), 'Weather?', run)
  expect(result.text).toBe('I cannot tell.')
  expect(told.provider.calls[1]?.call.messages.at(-1)).toMatchObject({ role: 'tool', content: 'Error: no such city' })
  const thrown = runTools(createClient({ chain: [target()] }), 'Weather?', { ...run, onToolError: 'throw' })
  await expect(thrown).rejects.toBeInstanceOf(RangeError)
})

test('after maxSteps the last calls are handed back, not executed', async () => {
  const target = fakeTarget(call({ city: 'Oslo' }))
  let executed = 0
  const run = { tools: { weather: { ...weather, execute: () => ++executed } }, maxSteps: 3 }
  const result = await runTools(createClient({ chain: [target] }), 'Weather?', run)
  expect([result.steps.length, executed, result.toolCalls.length]).toEqual([3, 2, 1])
})

test('an abort ends the run while a tool runs, with the caller reason', async () => {
  const controller = new AbortController()
  const reason = new Error('enough')
  let heard: unknown
  const execute = async (_: unknown, { signal }: { signal: AbortSignal }) => {
    signal.addEventListener('abort', () => void (heard = signal.reason))
    controller.abort(reason)
    return Promise.withResolvers<never>().promise
  }
  const client = createClient({ chain: [fakeTarget(call({ city: 'Oslo' }))] })
  const run = runTools(client, { prompt: 'Weather?', signal: controller.signal }, { tools: { weather: { ...weather, execute } } })
  await expect(run).rejects.toBe(reason)
  expect(heard).toBe(reason)
})

// ---- what was paid for is never lost

const never = async () => Promise.withResolvers<never>().promise
/** Answers for Oslo, and for no other city. */
const onlyOslo = { ...weather, execute: async ({ city }: { city: string }) => (city === 'Oslo' ? -3 : never()) }

test('timeout.totalMs is the time of the whole run, and what came until then is in the error', async () => {
  const clock = fakeClock()
  const target = fakeTarget([call({ city: 'Oslo' }), twoCalls], { clock })
  const client = createClient({ chain: [target], clock })
  const input = { prompt: 'Weather?', timeout: { totalMs: 5_000 } }
  const error = await clock.until(failureOf(runTools(client, input, { tools: { weather: onlyOslo } })))
  expect(clock.now()).toBe(5_000)
  if (!RunToolsError.isInstance(error)) throw new Error('expected an error with steps', { cause: error })
  expect(error.message).toContain('after 2 steps. The time of the whole run ran out (timeout.totalMs)')
  expect(error.steps).toMatchObject([
    { toolCalls: [{}], toolResults: [{ result: -3, error: undefined }] },
    {
      toolResults: [{ result: -3 }, { toolCallId: 'b', result: undefined, error: { message: expect.stringContaining('ended') } }],
    },
  ])
  expect(error.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant', 'tool', 'tool'])
})

test('a chain that fails in a later step leaves the steps before it, and the run can be gone on with', async () => {
  const target = fakeTarget([call({ city: 'Oslo' }), { error: 'overloaded' }, 'It is cold.'], { retry: 0 })
  const client = createClient({ chain: [target], breaker: false })
  const run = { tools: { weather: onlyOslo } }
  const error = await failureOf(runTools(client, 'Weather?', run))
  if (!RunToolsError.isInstance(error)) throw new Error('expected an error with steps', { cause: error })
  expect(error).toMatchObject({ steps: [{ toolResults: [{ result: -3 }] }], cause: { name: 'ChainExhaustedError', status: 503 } })
  expect((await runTools(client, { messages: error.messages }, run)).text).toBe('It is cold.')
  expect(target.provider.calls.at(-1)?.call.messages.at(-1)).toMatchObject({ role: 'tool', content: '-3' })
})

test('time that is over while the model is asked leaves the steps too', async () => {
  const clock = fakeClock()
  const target = fakeTarget([call({ city: 'Oslo' }), { hang: true }], { clock })
  const client = createClient({ chain: [target], clock })
  const input = { prompt: 'Weather?', timeout: { totalMs: 5_000 } }
  const error = await clock.until(failureOf(runTools(client, input, { tools: { weather: onlyOslo } })))
  expect(error).toMatchObject({ name: 'RunToolsError', steps: [{}], cause: { reason: 'timeout' } })
})

test('before the first step there is nothing to lose: the error is that of generate()', async () => {
  const client = createClient({ chain: [fakeTarget({ error: 'authentication' })] })
  await expect(runTools(client, 'Weather?', { tools: { weather: onlyOslo } })).rejects.toBeInstanceOf(ChainExhaustedError)
})

test('onStep hears of every step, also of the one that an abort ends, whose reason is thrown untouched', async () => {
  const controller = new AbortController()
  // one of ours, so that it could be taken for ours
  const reason = new UnbusyError('enough')
  const heard: { steps: ToolStep[]; last: readonly Message[] } = { steps: [], last: [] }
  const execute = ({ city }: { city: string }) => {
    if (city === 'Rome') setImmediate(() => controller.abort(reason))
    return onlyOslo.execute({ city })
  }
  const run = runTools(
    createClient({ chain: [fakeTarget([call({ city: 'Oslo' }), twoCalls])] }),
    { prompt: 'Weather?', signal: controller.signal },
    {
      tools: { weather: { ...weather, execute } },
      onStep(step, messages) {
        heard.steps.push(step)
        heard.last = messages
        throw new Error('a listener of no use')
      },
    },
  )
  await expect(run).rejects.toBe(reason)
  expect(heard.steps.map(({ toolResults }) => toolResults.map(({ result }) => result))).toEqual([[-3], [-3, undefined]])
  expect(heard.last).toHaveLength(6)
})

test('what a tool threw is thrown untouched, and onStep has heard of the step', async () => {
  const thrown = new UnbusyError('of a call that the tool made')
  const heard: ToolStep[] = []
  const execute = () => {
    throw thrown
  }
  const options = {
    tools: { weather: { ...weather, execute } },
    onToolError: 'throw',
    onStep: (step: ToolStep) => heard.push(step),
  } as const
  const client = createClient({ chain: [fakeTarget(call({ city: 'Oslo' }))] })
  await expect(runTools(client, 'Weather?', options)).rejects.toBe(thrown)
  expect(heard).toMatchObject([{ toolResults: [{ error: thrown }] }])
})

test.for([
  ['that is no JSON', 1n, 'Error: Do not know how to serialize a BigInt'],
  ['that JSON has no word for', () => {}, 'null'],
] as const)('a result %s ends no run', async ([, result, content]) => {
  const target = fakeTarget([call({ city: 'Oslo' }), 'I cannot tell.'])
  const execute = () => result
  const { text } = await runTools(createClient({ chain: [target] }), 'Weather?', { tools: { weather: { ...weather, execute } } })
  expect(text).toBe('I cannot tell.')
  expect(target.provider.calls[1]?.call.messages.at(-1)).toMatchObject({ content })
})
