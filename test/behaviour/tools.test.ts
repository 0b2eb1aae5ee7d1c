import { expect, test } from 'vitest'
import { z } from 'zod'
import { createClient, runTools } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'

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

test('repair tells the same target what was wrong with its call', async () => {
  const target = fakeTarget([call({ town: 'Oslo' }), call({ city: 'Oslo' })], { retry: 0 })
  const result = await createClient({ chain: [target], repair: 1 }).generate({ prompt: 'Weather?', tools })
  expect(result.toolCalls).toMatchObject([{ input: { city: 'Oslo' } }])
  expect(target.provider.calls[1]?.call.messages.at(-1)?.content).toContain('- city: ')
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

test('timeout.totalMs is the time of the whole run, tools included', async () => {
  const clock = fakeClock()
  const target = fakeTarget(call({ city: 'Oslo' }), { clock })
  const client = createClient({ chain: [target], clock })
  const execute = async () => Promise.withResolvers<never>().promise
  const run = runTools(
    client,
    { prompt: 'Weather?', timeout: { totalMs: 5_000 } },
    { tools: { weather: { ...weather, execute } } },
  )
  await expect(clock.until(run)).rejects.toThrow('timeout.totalMs')
  expect(clock.now()).toBe(5_000)
})
