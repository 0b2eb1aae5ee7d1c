import type { Ask, Dialect } from '../jobs.ts'

/** What every client of the bench can be asked. All answer with the whole text, which the runner compares with what was sent. */
export type BenchClient = {
  readonly name: string
  /** One plain call: JSON for the peers; unbusy always streams on the wire. */
  call(baseURL: string): () => Promise<string>
  /** One streamed call that is read to its end; `onFirst` is told when the first text is in the reader's hands. */
  stream(baseURL: string): (onFirst?: () => void) => Promise<string>
  /** A plain call whose first target is busy and whose second answers. */
  fallback(busyURL: string, baseURL: string): () => Promise<string>
  /** A call to a server that means harm, by `generate()` and by `stream()`. However it ends, it ends. */
  hostile?(baseURL: string, dialect: Dialect, ask: Ask): Promise<void>
}

export const prompt = 'Why is the sky blue?'
export const model = 'deepseek-flash'
