import { styleText } from 'node:util'

export type Tone = 'good' | 'bad' | 'wait' | 'quiet' | 'strong' | 'plain'

/** Where lines go: a person's screen, a file or another program. */
export type Terminal = {
  /** A person looks at it: what is written may be drawn over. */
  readonly isScreen: boolean
  readonly columns: number
  /** Answers `false` while the reader is behind. */
  write(text: string): boolean
  line(text?: string): void
  /** Resolves when the reader has caught up. */
  drained(signal: AbortSignal): Promise<void>
  /** The text in the colour of its tone; as it is where colours would be noise. */
  paint(tone: Tone, text: string): string
}

/** What a terminal is made of: `process.stdout`, or what a test puts in its place. */
export type Output = Pick<NodeJS.WriteStream, 'write' | 'once' | 'off'> & {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
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
  // no-color.org: any value that is not empty
  const hasColors = isScreen && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb'
  return {
    isScreen: isScreen && environment['TERM'] !== 'dumb',
    get columns() {
      return output.columns ?? 100
    },
    write: text => output.write(text),
    line: (text = '') => void output.write(`${text}\n`),
    drained: signal => drained(output, signal),
    paint: (tone, text) =>
      tone === 'plain' || !hasColors ? text : styleText([...formats[tone]], text, { validateStream: false }),
  }
}

function drained(output: Output, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    // who was told before is not told again, and a reader who left takes nothing more
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

/** What a server or a model says, fit for a screen: an escape sequence in it could do anything there. */
export function withoutControls(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '')
}

/** One line of at most so many characters. */
export function oneLine(text: string, length: number): string {
  const flat = withoutControls(text.replace(/\s+/g, ' ')).trim()
  return flat.length <= length ? flat : `${flat.slice(0, Math.max(0, length - 1))}…`
}

/** `1,234 ms`, and from ten seconds on `12.3 s`. */
export function duration(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1_000).toFixed(1)} s`
  return `${Math.round(ms).toLocaleString('en-US')} ms`
}
