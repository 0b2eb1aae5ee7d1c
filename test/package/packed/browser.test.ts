import { readFile } from 'node:fs/promises'
import { createContext, runInContext } from 'node:vm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Consumer, createConsumer } from './consumer.ts'

let consumer: Consumer
let code: string

beforeAll(async () => {
  consumer = await createConsumer()
  code = await readFile(consumer.installed('dist/browser/index.js'), 'utf8')
})

afterAll(() => consumer.remove())

test('unbusy/browser imports nothing, not even a chunk of ours', () => {
  expect(code).toContain('export {')
  expect(code).not.toMatch(/\b(?:import|require)\b/)
})

test('it runs where there is nothing but what browsers have', async () => {
  const script = code.replace(/export \{[^}]*\};?/, '').replace(/\/\/# sourceMappingURL.*/, '')
  const page = createContext({ TextDecoder, Promise, JSON, Error, Object, Number, Math, Date })
  const fromResponse = runInContext(`${script}; fromResponse`, page) as (response: Response) => AsyncIterable<{ type: string }>
  const body = 'data: {"type":"text-delta","text":"Hi."}\n\ndata: {"type":"finish","finishReason":"stop"}\n\n'
  const events: unknown[] = []
  for await (const event of fromResponse(new Response(body, { headers: { 'content-type': 'text/event-stream' } })))
    events.push(event.type)
  expect(events).toEqual(['text-delta', 'finish'])
})
