/**
 * What a test file gets when it imports `vitest` in a mutation test: `expect` is vitest's own, but the tests are only collected. The worker
 * runs them as often as it likes, without loading anything anew: that is what makes a mutant cost milliseconds.
 */
import { expect, vi } from 'vitest'

export { expect, vi }

type Body = (...args: never[]) => unknown
type Hook = () => unknown
type Fixtures = Readonly<Record<string, Body>>

export type Suite = {
  readonly name: string
  readonly parent: Suite | undefined
  readonly hooks: Readonly<Record<'beforeAll' | 'afterAll' | 'beforeEach' | 'afterEach', Hook[]>>
}

/** One test. `run` gets the list in which it puts what is to be called when it is over. */
export type Case = {
  readonly id: string
  readonly name: string
  readonly suite: Suite
  readonly run: (finish: Hook[]) => unknown
}

const cases: Case[] = []
let current: Suite = newSuite('', undefined)
let finishing: Hook[] = []

/** The tests that `load` registers, as those of one file. */
export async function collect(file: string, load: () => Promise<unknown>): Promise<readonly Case[]> {
  cases.length = 0
  current = newSuite(file, undefined)
  await load()
  return [...cases]
}

export const beforeAll = (hook: Hook): void => void current.hooks.beforeAll.push(hook)
export const afterAll = (hook: Hook): void => void current.hooks.afterAll.push(hook)
export const beforeEach = (hook: Hook): void => void current.hooks.beforeEach.push(hook)
export const afterEach = (hook: Hook): void => void current.hooks.afterEach.push(hook)
export const onTestFinished = (hook: Hook): void => void finishing.push(hook)

export const test = makeTest({})

export const describe = Object.assign(openSuite, {
  skipIf: (skip: unknown) => (name: string, body: Hook) => void (Boolean(skip) || openSuite(name, body)),
  each: (rows: readonly unknown[]) => (name: string, body: Body) =>
    rows.forEach((row, index) => openSuite(`${name} ${index}`, () => body(...(argsOf(row) as never[])))),
})

function openSuite(name: string, body: Hook): void {
  const outer = current
  current = newSuite(name, outer)
  body()
  current = outer
}

function makeTest(fixtures: Fixtures) {
  const register = (name: string, ...rest: readonly unknown[]): void => add(name, rest, (body, context) => body(context as never))
  const isSkipped = (skip: unknown) => (skip === true ? () => {} : register)
  return Object.assign(register, {
    skipIf: (skip: unknown) => isSkipped(Boolean(skip)),
    runIf: (run: unknown) => isSkipped(!run),
    for:
      (rows: readonly unknown[]) =>
      (name: string, ...rest: readonly unknown[]) =>
        rows.forEach((row, index) => add(`${name} ${index}`, rest, (body, context) => body(row as never, context as never))),
    each:
      (rows: readonly unknown[]) =>
      (name: string, ...rest: readonly unknown[]) =>
        rows.forEach((row, index) => add(`${name} ${index}`, rest, body => body(...(argsOf(row) as never[])))),
    extend: (name: string, fixture: Body): ReturnType<typeof makeTest> => makeTest({ ...fixtures, [name]: fixture }),
  })

  function add(name: string, rest: readonly unknown[], call: (body: Body, context: object) => unknown): void {
    const body = rest.find(one => typeof one === 'function') as Body
    const suite = current
    const names = namesOf(suite)
    const same = cases.filter(one => one.suite === suite && one.name.startsWith(name)).length
    cases.push({
      id: `${names.join(' > ')} > ${name}${same === 0 ? '' : ` (${same})`}`,
      ...{ name, suite },
      run: finish => {
        finishing = finish
        return call(body, contextOf(fixtures, finish))
      },
    })
  }
}

/** A fixture is made when the test takes it out of its context. */
function contextOf(fixtures: Fixtures, finish: Hook[]): object {
  const context = { expect, onTestFinished: (hook: Hook) => void finish.push(hook) }
  for (const [name, fixture] of Object.entries(fixtures)) {
    let made: { value: unknown } | undefined
    Object.defineProperty(context, name, { get: () => (made ??= { value: fixture(context as never) }).value })
  }
  return context
}

function newSuite(name: string, parent: Suite | undefined): Suite {
  return { name, parent, hooks: { beforeAll: [], afterAll: [], beforeEach: [], afterEach: [] } }
}

function namesOf(suite: Suite): readonly string[] {
  return suite.parent === undefined ? [suite.name] : [...namesOf(suite.parent), suite.name]
}

function argsOf(row: unknown): readonly unknown[] {
  return Array.isArray(row) ? row : [row]
}
