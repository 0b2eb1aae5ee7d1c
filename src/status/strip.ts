import type { CallCounts } from '../telemetry/activity.ts'
import { type Html, html } from './html.ts'

const width = 100
const height = 20
const gap = 0.6

/** Draws a bar for each step of the last five minutes, which shows when a problem began. Unanswered calls are also hatched. */
export function strip(steps: readonly CallCounts[], index: number): Html {
  const most = Math.max(1, ...steps.map(heightOf))
  const wide = width / steps.length
  const hatch = `hatch-${index}`
  const bars = steps.map((step, place) => bar(step, { x: place * wide, wide: wide - gap, scale: height / most, hatch }))
  return html`<figure>
    <svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${wordsOf(steps)}">
      <defs>
        <pattern id="${hatch}" width="1.2" height="1.2" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="lost" width="1.2" height="1.2" />
          <rect class="line" width="0.4" height="1.2" />
        </pattern>
      </defs>
      ${bars}
    </svg>
    <figcaption>
      5 minutes ago to now; the highest bar is ${most} calls in 15 s <span class="key"><i class="first"></i>first target</span>
      <span class="key"><i class="other"></i>another target</span> <span class="key"><i class="none"></i>no answer</span>
    </figcaption>
  </figure>`
}

type Place = { readonly x: number; readonly wide: number; readonly scale: number; readonly hatch: string }

function bar(step: CallCounts, { x, wide, scale, hatch }: Place): Html {
  const first = (step.answered - step.fallback) * scale
  const other = step.fallback * scale
  const none = (step.degraded + step.failed) * scale
  return html`${part({ x, y: height - first, wide, high: first }, 'first')}${part(
    { x, y: height - first - other, wide, high: other },
    'other',
  )}${part({ x, y: height - first - other - none, wide, high: none }, 'none', hatch)}`
}

type Box = { readonly x: number; readonly y: number; readonly wide: number; readonly high: number }

function part({ x, y, wide, high }: Box, kind: string, hatch?: string): Html {
  if (high === 0) return html``
  const box = html`x="${x.toFixed(2)}" y="${y.toFixed(2)}" width="${wide.toFixed(2)}" height="${high.toFixed(2)}"`
  return hatch === undefined ? html`<rect class="${kind}" ${box} />` : html`<rect fill="url(#${hatch})" ${box} />`
}

function heightOf({ answered, degraded, failed }: CallCounts): number {
  return answered + degraded + failed
}

/** The text alternative for screen readers. */
function wordsOf(steps: readonly CallCounts[]): string {
  const lost = steps.map(({ degraded, failed }) => degraded + failed)
  const began = lost.findIndex(each => each > 0)
  if (began === -1) return 'Calls by the target that answered, in steps of 15 seconds. Every call got an answer.'
  const seconds = (steps.length - began) * 15
  return `Calls by the target that answered, in steps of 15 seconds. The first call without an answer was about ${seconds} seconds ago.`
}
