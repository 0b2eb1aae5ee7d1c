import { expect, test } from 'vitest'
import { createClient, pool, type Target } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'

type When = NonNullable<Target['when']>

const wrong: readonly (readonly [string, unknown])[] = [
  ['a promise of false', async () => false],
  ['a promise of true', async () => true],
  ['a promise that rejects', async () => Promise.reject(new Error('no database'))],
  ['a string', () => 'no'],
  ['nothing', () => undefined],
  ['null', () => null],
  ['a number', () => 0],
]

/** How the error names it. */
const named = (what: string) =>
  what.startsWith('a promise')
    ? 'a promise'
    : ({ 'a string': 'a value of type string', nothing: 'a value of type undefined', 'a number': 'a value of type number' }[
        what
      ] ?? what)

for (const [what, when] of wrong) {
  test(`F80: a \`when\` that returns ${what} is a TypeError, and nothing is sent to anybody`, async () => {
    const targets = [fakeTarget('private', { name: 'own' }), fakeTarget('public', { name: 'open', when: when as When })]
    for (const chain of [targets, targets.toReversed(), [pool(targets)], [fakeTarget('first'), pool(targets)]]) {
      const client = createClient({ chain, defaultResponse: 'Busy.' })
      for (const ask of [client.generate('Hi'), client.stream('Hi')]) {
        await expect(ask).rejects.toThrow(`returned ${named(what)}: it must return true or false at once`)
        await expect(ask).rejects.toBeInstanceOf(TypeError)
      }
      await client.close()
    }
    expect(targets.map(({ provider }) => provider.calls.length)).toEqual([0, 0])
  })
}

test('F80: a pool asks nobody for his load before all conditions were asked', async () => {
  let loads = 0
  const member = fakeTarget('a')
  Object.assign(member.provider, { load: async () => ({ running: (loads += 1), waiting: 0 }) })
  const client = createClient({ chain: [pool([member]), fakeTarget('b', { when: (async () => false) as unknown as When })] })
  await expect(client.generate('Hi')).rejects.toBeInstanceOf(TypeError)
  expect(loads).toBe(0)
  await client.close()
})

test('a `when` is asked once a call, with the model of its target, and one that throws sends nothing', async () => {
  const asked: string[] = []
  const first = fakeTarget('Hello.', { when: ({ model }) => asked.push(model) > 0 })
  const client = createClient({ chain: [pool([first]), fakeTarget('b', { model: 'b', when: ({ model }) => model === 'c' })] })
  expect(await client.generate('Hi')).toMatchObject({ text: 'Hello.' })
  expect(asked).toEqual(['fake-1'])
  const bug = new Error('a bug in the condition')
  const throwing = fakeTarget('never', {
    when: () => {
      throw bug
    },
  })
  const other = createClient({ chain: [first, throwing] })
  await expect(other.generate('Hi')).rejects.toBe(bug)
  expect(first.provider.calls).toHaveLength(1)
  await Promise.all([client.close(), other.close()])
})

test('a provider is asked once a call whether it refuses, also when its target is retried', async () => {
  let asked = 0
  const refuse = () => void (asked += 1)
  const target = fakeTarget([{ error: 'overloaded' }, 'Hello.'], { refuse, retry: { maxRetries: 1, baseDelayMs: 1 } })
  const client = createClient({ chain: [target] })
  expect(await client.generate('Hi')).toMatchObject({ text: 'Hello.' })
  expect([asked, target.provider.calls.length]).toEqual([1, 2])
  await client.close()
})
