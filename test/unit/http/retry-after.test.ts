import fc from 'fast-check'
import { expect, test } from 'vitest'
import { durationMs, retryAfterMs, untilMs } from '../../../src/http/retry-after.ts'

const now = Date.UTC(2026, 10, 23, 12, 0, 0)
const date = (ms: number) => new Date(ms).toUTCString()

test.each([
  [{ 'retry-after': '7' }, 7_000],
  [{ 'retry-after': '0' }, 0],
  [{ 'retry-after': '1.1' }, 1_100],
  [{ 'retry-after': ' 7 ' }, 7_000],
  [{ 'retry-after': '86400' }, 86_400_000],
  [{ 'retry-after-ms': '250' }, 250],
  [{ 'retry-after-ms': '0' }, 0],
  [{ 'retry-after-ms': '12.4' }, 13],
  [{ 'retry-after': 'Mon, 23 Nov 2026 12:01:00 GMT' }, 60_000],
  [{ 'retry-after': 'Mon, 23 Nov 2026 12:00:00 GMT' }, 0],
  [{}, undefined],
])('%o says %s ms', (headers, expected) => {
  expect(retryAfterMs(headers, now)).toBe(expected)
})

test('the date is measured on the clock that wrote it, so that it does not matter how wrong that is', () => {
  const wrong = now - 3_600_000
  expect(retryAfterMs({ date: date(wrong), 'retry-after': date(wrong + 30_000) }, now)).toBe(30_000)
})

test.each([
  [{ 'retry-after': ['1', '9', '4'] }, 9_000],
  [{ 'retry-after': '1, 9' }, 9_000],
  [{ 'retry-after': `2, ${date(now + 60_000)}` }, 60_000],
  [{ 'retry-after': ['soon', '9'] }, 9_000],
  [{ 'retry-after-ms': '1500', 'retry-after': '1' }, 1_500],
  [{ 'retry-after-ms': '1500', 'retry-after': '60' }, 60_000],
  [{ 'retry-after-ms': '1500', 'retry-after': '1.8' }, 1_800],
  [{ 'retry-after-ms': [' 250 ', '40'] }, 250],
])('of several times the latest counts: %o', (headers, expected) => {
  expect(retryAfterMs(headers, now)).toBe(expected)
})

test.each([
  [{ 'retry-after-ms': '1500', 'retry-after': '2' }, 1_500],
  [{ 'retry-after-ms': '20', 'retry-after': '1' }, 20],
  [{ 'retry-after-ms': '1000', 'retry-after': '2' }, 2_000],
  [{ 'retry-after': '1', 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '6m0s' }, 1_000],
])('F21: the exact time counts before the rounded one: %o', (headers, expected) => {
  expect(retryAfterMs(headers, now)).toBe(expected)
})

test.each([
  ['words go before resets', { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '6m0s' }, 20, 20],
  ['Retry-After goes before words', { 'retry-after': '7' }, 60_000, 7_000],
  ['the words were rounded up to Retry-After', { 'retry-after': '42' }, 41_724, 41_724],
  ['Retry-After was not rounded down from words', { 'retry-after': '41' }, 41_724, 41_000],
  ['nothing is in the headers', {}, 300, 300],
])('F21: of what is said about this request: %s', (_, headers, said, expected) => {
  expect(retryAfterMs(headers, now, { said, isRefused: true })).toBe(expected)
})

test.each([
  ['0', 60_000],
  ['000', 60_000],
  ['0.00', 60_000],
  [['7', '0'], 60_000],
  ['10', undefined],
  ['0.5', undefined],
  ['0 of 9', undefined],
])('F21: of a limit of which %j remains the reset says %s ms', (remaining, expected) => {
  const headers = { 'x-ratelimit-remaining': remaining, 'x-ratelimit-reset': '60' }
  expect(retryAfterMs(headers, now, { isRefused: true })).toBe(expected)
})

test.each([
  ['remaining=00, reset=60', 60_000],
  ['remaining=05, reset=60', undefined],
  ['limit=1, remaining=0', undefined],
  ['"minute";r=0', undefined],
])('F22: the single field %j says %s ms', (ratelimit, expected) => {
  expect(retryAfterMs({ ratelimit }, now)).toBe(expected)
})

test.each([
  ['7.66s', 7_660],
  ['1.123456789s', 1_124],
  ['1.1234567890s', 1_124],
  ['1d2h', 93_600_000],
  ['8ms', 8],
  ['999999ns', 1],
  ['90', 90_000],
  ['in 5s', undefined],
  ['5s later', undefined],
  ['5 s', undefined],
])('the duration %s is %s ms, also as a reset', (value, expected) => {
  expect(durationMs(value)).toBe(expected)
  expect(retryAfterMs({ 'x-ratelimit-reset': value }, now, { isRefused: true })).toBe(expected)
})

test.each([
  [`${now}`, 0],
  [`${now + 250}`, 250],
  [`${now / 1_000 + 0.25}`, 250],
  [`${now / 1_000}.125`, 125],
  [`${now - 1}`, undefined],
  [`at ${now + 250}`, undefined],
  [`${now + 250} ms`, undefined],
  // 1973 in milliseconds, and not 5138 in seconds
  ['100000000000', undefined],
  ['99999999999', 99_999_999_999_000 - now],
  ['100000000000000', 100_000_000_000_000 - now],
  ['100000000000001', undefined],
  ['2026-11-23T12:01:00Z', 60_000],
  ['2026-11-23 12:01:00.5z', 60_500],
  ['2026-11-23T12:01:00.123456Z', 60_123],
  ['2026-11-23T12:01Z', 60_000],
  ['2026-11-23T13:01:00+01:00', 60_000],
  ['2026-11-23T06:31:00-0530', 60_000],
  ['2026-11-23T12:01:00', undefined],
  ['2026-11-23T12:01:00Z or so', undefined],
  ['at 2026-11-23T12:01:00Z', undefined],
  ['2026-13-23T12:01:00Z', undefined],
  ['2026-11-23T11:59:59Z', undefined],
])('the moment %s is %s ms away', (value, expected) => {
  expect(untilMs(value, now)).toBe(expected)
})

const inAMinute = now + 60_000
test.each([
  [{ 'x-ratelimit-reset': `${inAMinute}` }],
  [{ 'x-ratelimit-reset': `${inAMinute / 1000}` }],
  [{ 'x-ratelimit-reset': `${inAMinute / 1000}.0` }],
  [{ 'x-ratelimit-reset': new Date(inAMinute).toISOString() }],
  [{ 'x-ratelimit-reset': '60' }],
  [{ 'x-ratelimit-reset': '1m0s' }],
  [{ 'x-rate-limit-reset': '60' }],
  [{ 'x-ratelimit-reset-after': '60' }],
  [{ 'ratelimit-reset': '60' }],
  [{ ratelimit: 'limit=100, remaining=0, reset=60' }],
  [{ ratelimit: '"minute";r=0;t=60, "day";r=7;t=3600' }],
  [{ 'ratelimitbysize-remaining': '0', 'ratelimitbysize-reset': '60' }],
  [{ 'x-ratelimit-remaining-requests-day': '0', 'x-ratelimit-reset-requests-day': '60.0' }],
  [{ 'anthropic-ratelimit-requests-remaining': '0', 'anthropic-ratelimit-requests-reset': new Date(inAMinute).toISOString() }],
  [{ 'retry-after': `${inAMinute / 1000}` }],
  [{ 'x-ms-retry-after-ms': '60000' }],
])('F22: a reset time in any form is read: %o', headers => {
  expect(retryAfterMs(headers, now, { isRefused: true })).toBe(60_000)
})

test.each([
  [{ 'x-ratelimit-reset': `${now - 1}` }],
  [{ 'x-ratelimit-reset': '1795435200000000' }],
  [{ 'x-ratelimit-reset': '2026-11-23T13:00:00' }],
  [{ 'x-ratelimit-reset': `${inAMinute}`, 'x-ratelimit-remaining': '3' }],
  [{ ratelimit: 'limit=100, remaining=10, reset=60' }],
  [{ 'anthropic-ratelimit-requests-remaining': '4', 'anthropic-ratelimit-requests-reset': new Date(inAMinute).toISOString() }],
])('F22: a reset that is past, unreadable, or of a limit that has something left is none: %o', headers => {
  expect(retryAfterMs(headers, now, { isRefused: true })).toBeUndefined()
})

const resets = { 'x-ratelimit-reset-tokens': '12s', 'x-ratelimit-reset-requests': '1d' }
const anthropic = { 'anthropic-ratelimit-tokens-reset': '12', 'anthropic-ratelimit-requests-reset': '86400' }
test.each([
  [resets, { isRefused: true, limit: 'tokens' }, 12_000],
  [resets, { isRefused: true, limit: 'requests' }, 86_400_000],
  [anthropic, { isRefused: true, limit: 'tokens' }, 12_000],
  [anthropic, { isRefused: true, limit: 'requests' }, 86_400_000],
  [{ 'x-ratelimit-reset': '7' }, { isRefused: true, limit: 'requests' }, 7_000],
  [resets, { isRefused: true }, undefined],
  [resets, { isRefused: false, limit: 'tokens' }, undefined],
  [{ ...resets, 'x-ratelimit-remaining-tokens': '9' }, { isRefused: true, limit: 'tokens' }, undefined],
  [{ ...resets, 'x-ratelimit-remaining-requests': '0' }, { isRefused: true, limit: 'tokens' }, 86_400_000],
  [{ 'x-ratelimit-reset-tokens-day': '1d' }, { isRefused: true, limit: 'tokens' }, undefined],
] as const)(
  'F22: the reset of the limit that the body names counts where nobody tells what remains: %o %o',
  (headers, options, ms) => {
    expect(retryAfterMs(headers, now, options)).toBe(ms)
  },
)

test('F22: where no limit refused the request, a reset alone says nothing', () => {
  expect(retryAfterMs({ 'x-ratelimit-reset': `${inAMinute}` }, now)).toBeUndefined()
})

test.each([
  '-1',
  '',
  'soon',
  '1e3',
  '0x10',
  '+5',
  '5s',
  'NaN',
  'Infinity',
  '5;',
  '9'.repeat(400),
  '2026-11-23T13:00:00Z',
  'Mon, 23 Nov 2026 13:00:00 +0100',
  'Tue, 23 Nov 2026 13:00:00 GMT',
  'Mon, 31 Nov 2026 13:00:00 GMT',
  'Monday, 23-Nov-26 13:00:00 GMT',
  'Mon Nov 23 13:00:00 2026',
  'Mon, 23 Nov 2026 11:59:59 GMT',
])('what is negative, past or unreadable is as good as absent: %s', value => {
  expect(retryAfterMs({ 'retry-after': value }, now)).toBeUndefined()
})

test.each([
  [{ 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '6m0s' }, 360_000],
  [{ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '20ms' }, 20],
  [{ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '1h2m3.5s' }, 3_723_500],
  [{ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '500us' }, 1],
  [{ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '30' }, 30_000],
  [
    {
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '2s',
    },
    2_000,
  ],
])('a limit of which nothing remains says when it is reset: %o', (headers, expected) => {
  expect(retryAfterMs(headers, now)).toBe(expected)
})

test.each([
  ['something remains', { 'x-ratelimit-remaining-requests': '1', 'x-ratelimit-reset-requests': '6m0s' }, undefined],
  ['what remains is not said', { 'x-ratelimit-reset-requests': '6m0s' }, undefined],
  ['another limit is used up', { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-requests': '6m0s' }, undefined],
  ['it is unreadable', { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '6 minutes' }, undefined],
  ['it is a point in time that is past', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1795435199999' }, undefined],
  [
    'retry-after says something',
    { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '6m0s', 'retry-after': '1' },
    1_000,
  ],
])('the reset of a limit is no reason to stay away where %s', (_, headers, expected) => {
  expect(retryAfterMs(headers, now)).toBe(expected)
})

test('whatever the headers hold, it is a whole number of milliseconds that is not negative, or nothing', () => {
  const value = fc.oneof(
    fc.string(),
    fc.double().map(String),
    fc.integer().map(String),
    fc.date({ noInvalidDate: true }).map(each => each.toUTCString()),
  )
  const name = fc.constantFrom(
    'retry-after',
    'retry-after-ms',
    'date',
    'x-ratelimit-reset-tokens',
    'x-ratelimit-remaining-tokens',
  )
  fc.assert(
    fc.property(fc.dictionary(name, fc.oneof(value, fc.array(value))), headers => {
      const result = retryAfterMs(headers, now) ?? 0
      expect(Number.isInteger(result) && result >= 0).toBe(true)
    }),
    { numRuns: 1000 },
  )
})

test('no time is shortened, whatever form it has and however long it is', () => {
  fc.assert(
    fc.property(fc.nat({ max: 86_400_000 }), fc.integer({ min: -86_400_000, max: 86_400_000 }), (ms, skew) => {
      const whole = Math.ceil(ms / 1000) * 1000
      const server = now + Math.round(skew / 1000) * 1000
      expect(retryAfterMs({ 'retry-after-ms': `${ms}` }, now)).toBe(ms)
      expect(retryAfterMs({ 'retry-after': `${ms / 1000}` }, now)).toBe(ms)
      expect(retryAfterMs({ 'retry-after': date(server + whole), date: date(server) }, now)).toBe(whole)
      expect(retryAfterMs({ 'retry-after': date(now + whole) }, now)).toBe(whole)
    }),
  )
})

test('garbage beside a time changes nothing', () => {
  const garbage = fc.string().filter(text => !/\d/.test(text))
  fc.assert(
    fc.property(fc.nat({ max: 100_000 }), garbage, fc.boolean(), (seconds, text, first) => {
      const values = first ? [text, `${seconds}`] : [`${seconds}`, text]
      expect(retryAfterMs({ 'retry-after': values }, now)).toBe(seconds * 1000)
    }),
  )
})
