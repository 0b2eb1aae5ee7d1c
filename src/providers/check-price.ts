import { amount, type Check, count, group, isRecord, kindOf, list } from '../check.ts'

/** A list whose items all pass `each`; `instead` shows a valid one in the error message. */
function listOf(each: (item: unknown) => boolean, instead: string): Check {
  return (value, name) => {
    list(value, name)
    const items = value as readonly unknown[]
    if (items.length === 0 || !items.every(each)) throw new TypeError(`${name} must be a list like ${instead}.`)
  }
}

const isHour = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value <= 24

const hoursUtc: Check = (value, name) => {
  const [from, to, ...more] = Array.isArray(value) ? (value as readonly unknown[]) : []
  // a period that begins at 24 and ends at 0 would never hold
  if (!isHour(from) || !isHour(to) || from === to || from === 24 || more.length > 0)
    throw new TypeError(
      `${name} must be two different hours from 0 to 24, for example [1, 4] for 01:00 to 04:00, or [22, 6]${
        Array.isArray(value) ? '' : `, not ${kindOf(value)}`
      }.`,
    )
}

const weekdays = listOf(
  value => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 6,
  '[1, 2, 3, 4, 5], which is Monday to Friday (0 is Sunday, 6 is Saturday)',
)

/** The zone is required, because each machine would otherwise read a different moment. A date alone is UTC. */
const isoForm = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/

const moment: Check = (value, name) => {
  if (typeof value !== 'string' || !isoForm.test(value) || Number.isNaN(Date.parse(value)))
    throw new TypeError(`${name} must be a date with a time zone, for example '2026-08-16T16:00:00Z'.`)
}

const isDay = (value: unknown): boolean => typeof value === 'string' && /^(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/.test(value)

const mayNotHoldOn = listOf(
  value => Array.isArray(value) && value.length === 2 && value.every(isDay),
  "[['12-30', '01-03']], the first and the last day as month and day",
)

const rates = { input: amount, cachedInput: amount, output: amount }

function withRates(check: Check): Check {
  return (value, name) => {
    check(value, name)
    if (isRecord(value) && (value['input'] === undefined || value['output'] === undefined))
      throw new TypeError(`${name} must have input and output, in US dollars per million tokens.`)
  }
}

const fields = withRates(
  group({ ...rates, hoursUtc, weekdays, from: moment, until: moment, mayNotHoldOn, aboveInputTokens: count }),
)

const rule: Check = (value, name) => {
  fields(value, name)
  const { from, until } = value as { readonly from?: string; readonly until?: string }
  if (from !== undefined && until !== undefined && Date.parse(from) >= Date.parse(until))
    throw new TypeError(`${name}: until must be later than from. Otherwise the rule never holds.`)
}

const rules: Check = (value, name) => {
  list(value, name)
  for (const [index, one] of (value as readonly unknown[]).entries()) rule(one, `${name}[${index}]`)
}

/** Checks the option `price` of a target. */
export const price: Check = withRates(group({ ...rates, rules }))
