import { expect, test } from 'vitest'
import { duration, oneLine, withoutControls } from '../../../src/cli/terminal.ts'
import { screen } from '../../helpers/screen.ts'

test.each([
  ['a screen', { isTTY: true }, {}, '\x1b[31mno\x1b[39m'],
  ['a screen with NO_COLOR', { isTTY: true }, { NO_COLOR: '1' }, 'no'],
  ['a screen with an empty NO_COLOR', { isTTY: true }, { NO_COLOR: '' }, '\x1b[31mno\x1b[39m'],
  ['a dumb terminal', { isTTY: true }, { TERM: 'dumb' }, 'no'],
  ['a file', {}, { FORCE_COLOR: '1' }, 'no'],
])('colours on %s are as they should be', (_name, options, environment, painted) => {
  expect(screen(options, environment).paint('bad', 'no')).toBe(painted)
})

test('a size that a terminal does not know is not 0', () => {
  const { columns, rows } = screen({ isTTY: true, columns: 0, rows: 0 })
  expect([columns, rows]).toEqual([100, Infinity])
  expect(screen({ isTTY: true, columns: 80, rows: 24 })).toMatchObject({ columns: 80, rows: 24 })
})

test('what a model says cannot steer the screen', () => {
  expect(withoutControls('\x1b]0;title\x07a\n\tb\x9b2J')).toBe(']0;titlea\n\tb2J')
})

test('a line is one line and no longer than its room', () => {
  expect(oneLine('a\n b\t c', 10)).toBe('a b c')
  expect(oneLine('abcdef', 4)).toBe('abc…')
})

test('durations are milliseconds, and seconds from ten on', () => {
  expect([0.4, 1_234.5, 9_999.4, 12_340].map(duration)).toEqual(['0 ms', '1,235 ms', '9,999 ms', '12.3 s'])
})

test('nobody waits for a reader who left before', async () => {
  await expect(screen().drained(AbortSignal.abort())).resolves.toBeUndefined()
})
