import { fromResponse, type ResponseError } from 'unbusy/browser'

/** Asks the server and shows the answer as it comes. `leaving` is aborted when the user presses "stop" or goes to another page. */
export async function chat(prompt: string, show: (text: string) => void, leaving: AbortSignal): Promise<void> {
  const response = await fetch('/chat', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt }),
    signal: leaving,
  })
  let text = ''
  try {
    for await (const event of fromResponse(response)) {
      if (event.type === 'text-delta') text += event.text
      if (event.type === 'restart') text = '' // only with afterFirstToken: 'restart' or 'continue'
      show(text)
    }
  } catch (error) {
    if (leaving.aborted) return
    const { reason, retryAfterMs = 5_000 } = error as ResponseError
    // without a `reason` there was no answer at all, for example a 503; with one it broke off after `text`
    show(reason === undefined ? `Busy. Try again in ${Math.ceil(retryAfterMs / 1_000)} s.` : `${text} (It broke off: ${reason}.)`)
  }
}
