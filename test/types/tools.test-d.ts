import { expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { createClient, deepseek, runTools } from 'unbusy'
import type { Message, ProviderMetadata, RunToolsError, ToolStep } from 'unbusy'

const client = createClient({ chain: [deepseek()] })
const tools = {
  weather: { description: 'Tells the weather.', inputSchema: z.object({ city: z.string() }) },
  clock: { inputSchema: z.object({ zone: z.string().default('UTC') }) },
  raw: { inputSchema: { type: 'object' } },
}

test('a tool call is known by its name', async () => {
  const { toolCalls, output } = await client.generate({ prompt: 'Hi', tools, toolChoice: { toolName: 'weather' } })
  expectTypeOf(output).toEqualTypeOf<undefined>()
  for (const call of toolCalls) {
    expectTypeOf(call.toolName).toEqualTypeOf<'weather' | 'clock' | 'raw'>()
    if (call.toolName === 'weather') expectTypeOf(call.input).toEqualTypeOf<{ city: string }>()
    if (call.toolName === 'clock') expectTypeOf(call.input.zone).toEqualTypeOf<string>()
    if (call.toolName === 'raw') expectTypeOf(call.input).toBeUnknown()
    // @ts-expect-error there is no such tool
    if (call.toolName === 'news') void call
  }
})

test('a stream tells tool calls by their type', async () => {
  for await (const event of await client.stream({ prompt: 'Hi', tools })) {
    if (event.type === 'tool-call' && event.toolName === 'weather') expectTypeOf(event.input).toEqualTypeOf<{ city: string }>()
  }
})

test('wrong tools do not compile', () => {
  // @ts-expect-error there is no such tool
  void client.generate({ prompt: 'Hi', tools, toolChoice: { toolName: 'news' } })
  // @ts-expect-error no such choice
  void client.generate({ prompt: 'Hi', tools, toolChoice: 'always' })
  // @ts-expect-error a tool has an input
  void client.generate({ prompt: 'Hi', tools: { weather: { description: 'Tells the weather.' } } })
})

test('with tools, a typed answer may not be there yet', async () => {
  const { output } = await client.generate({ prompt: 'Hi', tools, output: z.object({ cold: z.boolean() }) })
  expectTypeOf(output).toEqualTypeOf<{ cold: boolean } | undefined>()
})

test('execute gets what the schema lets through', async () => {
  const { output, steps } = await runTools(
    client,
    { prompt: 'Hi', output: z.object({ cold: z.boolean() }) },
    {
      tools: {
        weather: {
          inputSchema: z.object({ city: z.string() }),
          execute: (input, { signal }) => {
            expectTypeOf(input).toEqualTypeOf<{ city: string }>()
            expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
            return 3
          },
        },
      },
    },
  )
  expectTypeOf(output).toEqualTypeOf<{ cold: boolean } | undefined>()
  expectTypeOf(steps[0]!.toolResults[0]!.result).toBeUnknown()
  // @ts-expect-error a tool that is run has something to execute
  void runTools(client, 'Hi', { tools: { weather: { inputSchema: z.object({}) } } })
})

test('what a run leaves behind is typed, in its error and while it goes on', () => {
  expectTypeOf<RunToolsError['steps']>().toEqualTypeOf<readonly ToolStep[]>()
  expectTypeOf<RunToolsError['messages']>().toEqualTypeOf<readonly Message[]>()
  void runTools(client, 'Hi', {
    tools: {},
    onStep(step, messages) {
      expectTypeOf(step).toEqualTypeOf<ToolStep>()
      expectTypeOf(messages).toEqualTypeOf<readonly Message[]>()
    },
  })
})

test('the answer as a turn is a message, and state stands at turns and calls', async () => {
  const { message, toolCalls } = await client.generate({ prompt: 'Is it cold?', tools })
  expectTypeOf(message).toExtend<Message>()
  expectTypeOf(message.role).toEqualTypeOf<'assistant'>()
  expectTypeOf(message.providerMetadata).toEqualTypeOf<ProviderMetadata | undefined>()
  expectTypeOf(toolCalls[0]!.providerMetadata).toEqualTypeOf<ProviderMetadata | undefined>()
  await client.generate({ messages: [{ role: 'user', content: 'Is it cold?' }, message] })
})
