import { type BodySettings, comment, nextPiece, type WebSource } from './web-body.ts'

/** Returns the answer as a response of the Fetch API. A slow client slows the reading of the stream. */
export function toResponse(source: WebSource, settings: BodySettings): Response {
  return new Response(toBody(source, settings), { headers: settings.headers })
}

/** Reads the stream only on demand; cancelling the body ends the request to the provider at once. */
function toBody(source: WebSource, { isText, keepAliveMs }: BodySettings): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let isLeft = false
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    // at most one comment waits for a client that does not read
    const beat = () => void (controller.desiredSize === 0 && controller.enqueue(encoder.encode(comment)))
    const stop = every(source, keepAliveMs, beat)
    const { text, isLast, error } = await nextPiece(source, isText)
    stop()
    if (isLeft) return
    if (text !== '') controller.enqueue(encoder.encode(text))
    if (error !== undefined) controller.error(error)
    else if (isLast) controller.close()
  }
  const cancel = () => {
    isLeft = true
    source.leave()
  }
  return new ReadableStream({ pull, cancel }, { highWaterMark: 0 })
}

/** Returns a function that stops the timer. */
function every({ clock }: WebSource, afterMs: number, run: () => void): () => void {
  if (afterMs === Infinity) return () => {}
  const again = () => {
    run()
    timer = clock.setTimeout(again, afterMs)
  }
  let timer = clock.setTimeout(again, afterMs)
  return () => clock.clearTimeout(timer)
}
