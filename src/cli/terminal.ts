import { styleText } from 'node:util'

export type Tone = 'good' | 'bad' | 'wait' | 'quiet' | 'strong' | 'plain'

/** The output of the program: a screen, a file or a pipe. */
export type Terminal = {
  /** The output is an interactive screen, so written lines may be overwritten. */
  readonly isScreen: boolean
  readonly columns: number
  /** The lines that a screen holds; `Infinity` for what is not a screen. */
  readonly rows: number
  /** Returns `false` while the reader lags behind. */
  write(text: string): boolean
  line(text?: string): void
  /** Resolves when the reader has caught up. */
  drained(signal: AbortSignal): Promise<void>
  /** Returns the text in the colour of its tone, or unchanged if colours are off. */
  paint(tone: Tone, text: string): string
}

/** The stream behind a terminal: `process.stdout`, or a substitute in tests. */
export type Output = Pick<NodeJS.WriteStream, 'write' | 'once' | 'off'> & {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly rows?: number | undefined
}

const formats = {
  good: ['green'],
  bad: ['red'],
  wait: ['yellow'],
  quiet: ['dim'],
  strong: ['bold'],
} as const satisfies Partial<Record<Tone, Parameters<typeof styleText>[0]>>

export function createTerminal(output: Output, environment: NodeJS.ProcessEnv): Terminal {
  const isScreen = output.isTTY === true
  // no-color.org: any non-empty value turns colours off
  const hasColors = isScreen && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb'
  return {
    isScreen: isScreen && environment['TERM'] !== 'dumb',
    get columns() {
      return known(output.columns) ?? 100
    },
    get rows() {
      return (isScreen ? known(output.rows) : undefined) ?? Infinity
    },
    write: text => output.write(text),
    line: (text = '') => void output.write(`${text}\n`),
    drained: signal => drained(output, signal),
    paint: (tone, text) =>
      tone === 'plain' || !hasColors ? text : styleText([...formats[tone]], text, { validateStream: false }),
  }
}

/** Some terminals report a size of 0, which means that they do not know it. */
function known(size: number | undefined): number | undefined {
  return size === 0 ? undefined : size
}

function drained(output: Output, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    // an aborted signal fires no further event, and a closed pipe never drains
    if (signal.aborted) return resolve()
    const done = () => {
      output.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    output.once('drain', done)
    signal.addEventListener('abort', done, { once: true })
  })
}

/** Removes control characters from the text of a server or a model, because an escape sequence could do anything to the terminal. */
export function withoutControls(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '')
}

const graphemes = new Intl.Segmenter()
/** What a terminal shows two columns wide: the characters of East Asia, and emoji. */
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u

/** Cuts a text to at most one column less than `columns`, and fills the rest with blanks. */
export function fitted(text: string, columns: number): string {
  let shown = ''
  let left = columns
  for (const { segment } of graphemes.segment(text)) {
    const width = wide.test(segment) ? 2 : 1
    if (width >= left) break
    shown += segment
    left -= width
  }
  return shown + ' '.repeat(left)
}

/** Shortens a text to one line of at most `length` characters. */
export function oneLine(text: string, length: number): string {
  const flat = withoutControls(text.replace(/\s+/g, ' ')).trim()
  return flat.length <= length ? flat : `${flat.slice(0, Math.max(0, length - 1))}…`
}

/** Formats `1,234 ms`, or `12.3 s` from ten seconds on. */
export function duration(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1_000).toFixed(1)} s`
  return `${Math.round(ms).toLocaleString('en-US')} ms`
}
