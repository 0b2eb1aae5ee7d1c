/** What a runner can be asked to do, as plain data that travels between processes. */

export type ClientName = 'undici' | 'openai' | 'ai' | 'unbusy'

export type Work =
  | { readonly kind: 'call' | 'stream'; readonly url: string }
  | { readonly kind: 'fallback'; readonly busyUrl: string; readonly url: string }

/** How the server of a hostile reply is asked, and for what. */
export type Dialect = 'chat' | 'json' | 'ollama' | 'text'
export type Ask = 'text' | 'typed' | 'tree' | 'tools'

/** Time spent, memory asked for, or memory that is still held at the end. */
export type ProfileKind = 'cpu' | 'heap' | 'held'

/** Each job names the text that every single answer must hold. */
export type Job = { readonly expected: string } & (
  | {
      readonly type: 'load'
      readonly work: Work
      readonly concurrency: number
      readonly forMs: number
      /** Ends sooner, after so many calls. */
      readonly calls?: number | undefined
    }
  | { readonly type: 'first-token'; readonly url: string; readonly forMs: number }
  | { readonly type: 'promises'; readonly work: Work; readonly calls: number }
  | {
      readonly type: 'profile'
      readonly kind: ProfileKind
      readonly work: Work
      readonly concurrency: number
      readonly forMs: number
    }
  | { readonly type: 'stall'; readonly url: string; readonly dialect: Dialect; readonly ask: Ask }
  | {
      readonly type: 'crowd'
      readonly url: string
      /** Lets all streams come to their end. */
      readonly releaseUrl: string
      readonly streams: number
      /** All streams flow for so long after the last one has begun. */
      readonly windowMs: number
      /** And are silent after so long. */
      readonly silentAfterMs: number
      /** Answer also what the streams hold. @default false */
      readonly profile?: boolean
    }
)

export type LoadResult = { readonly calls: number; readonly cpuUsPerCall: number; readonly wallUsPerCall: number }
export type FirstTokenResult = { readonly calls: number; readonly medianUs: number }
export type CrowdResult = {
  readonly heapBytesPerStream: number
  /** How many streams flowed in the window. */
  readonly flowing: number
  readonly cpuUs: number
  readonly wallMs: number
  /** Of V8, when it was asked for. */
  readonly profile?: unknown
}

/** The longest turn of the event loop while a call was made, in CPU time of its thread. */
export type StallResult = { readonly stallMs: number }
export type PromisesResult = { readonly perCall: number }
/** `profile` is what V8 answers: a CPU profile or a sampling heap profile. */
export type ProfileResult = LoadResult & { readonly profile: unknown }

type Results = {
  readonly load: LoadResult
  readonly 'first-token': FirstTokenResult
  readonly crowd: CrowdResult
  readonly promises: PromisesResult
  readonly stall: StallResult
  readonly profile: ProfileResult
}

export type JobResult<T extends Job['type']> = Results[T]
