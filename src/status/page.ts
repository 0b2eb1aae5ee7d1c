import { createHash } from 'node:crypto'
import type { ClientStatus, TargetStatus } from '../telemetry/activity.ts'
import { type Html, html } from './html.ts'
import { script } from './script.ts'
import { strip } from './strip.ts'
import { style } from './style.ts'
import {
  dollars,
  duration,
  type FailureGroup,
  failureGroups,
  type Level,
  nameOf,
  type Pings,
  pingResult,
  serverWords,
  share,
  signs,
  states,
  timeOfDay,
  verdictOf,
} from './words.ts'

/** The clients on one page, with their names; a single client has an empty name. */
export type Shown = readonly (readonly [name: string, status: ClientStatus])[]

/** Allows only the style and the script of the page. Attributes such as `style` or `onclick` are blocked too. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  `script-src 'sha256-${digest(script)}'`,
  `style-src 'sha256-${digest(style)}'`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64')
}

/** Renders the whole page, which is readable without its script. */
export function page(shown: Shown): string {
  const verdicts = shown.map(([name, status]) => ({ name, ...verdictOf(status) }))
  const worst = worstOf(verdicts)
  const title = `${signs[worst.level]} ${worst.title} - unbusy status`
  const at = shown[0]?.[1].at ?? ''
  // screen readers announce changes of this text, so it contains states but no numbers, which change with every update
  const live = verdicts.map(verdict => `${prefixOf(verdict.name)}${verdict.title}`).join('. ')
  const body = html`<header><strong>unbusy status</strong><span id="age">As of ${timeOfDay(at)}</span></header>
    <p id="live" role="status" class="hidden">${live}</p>
    <main>${shown.map(([name, status], index) => clientOf(name, status, index))}</main>`
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">`
  return `<!doctype html><html lang="en"><head>${head}<title>${html`${title}`.html}</title><style>${style}</style></head><body>${body.html}<script>${script}</script></body></html>`
}

function worstOf(verdicts: readonly { readonly level: Level; readonly title: string }[]): {
  readonly level: Level
  readonly title: string
} {
  const order: readonly Level[] = ['bad', 'fair', 'good', 'idle']
  const [worst] = verdicts.toSorted((one, other) => order.indexOf(one.level) - order.indexOf(other.level))
  return worst ?? { level: 'idle', title: 'No client' }
}

function prefixOf(name: string): string {
  return name === '' ? '' : `${name}: `
}

function clientOf(name: string, status: ClientStatus, index: number): Html {
  const { level, title, text } = verdictOf(status)
  return html`<section aria-label="${name === '' ? 'Client' : `Client ${name}`}">
    <div class="verdict ${level}">
      <h1><span aria-hidden="true">${signs[level]}</span> ${prefixOf(name)}${title}</h1>
      <p>${text}</p>
    </div>
    <h2>Calls of the last 5 minutes</h2>
    <dl class="figures">${figuresOf(status)}</dl>
    ${strip(status.recent.steps, index)} ${targetsOf(status)} ${pingsOf(status)} ${failuresOf(status)}
  </section>`
}

function figuresOf({ recent, targets }: ClientStatus): readonly Html[] {
  const { answered, fallback, degraded, failed, aborted } = recent
  const all = answered + degraded + failed
  const add = (of: (target: TargetStatus) => number): number => targets.reduce((sum, target) => sum + of(target), 0)
  const unknown = add(({ unknownUsage }) => unknownUsage)
  return [
    figure('Answered', answered, share(answered, all)),
    figure('Of these by another target', fallback, share(fallback, answered), fallback > 0 ? 'fair' : ''),
    figure('Default response', degraded, share(degraded, all), degraded > 0 ? 'bad' : ''),
    figure('Failed', failed, aborted === 0 ? '' : `and ${aborted} aborted by callers`, failed > 0 ? 'bad' : ''),
    figure(
      'In flight now',
      add(({ inFlight }) => inFlight),
      `${add(({ waiting }) => waiting)} waiting`,
    ),
    figure('Cost since start', dollars(add(({ cost }) => cost)), unknown === 0 ? '' : `${unknown} attempts reported no usage`),
  ]
}

// eslint-disable-next-line max-params -- a row of a table
function figure(name: string, value: string | number, note: string, level = ''): Html {
  return html`<div>
    <dt>${name}</dt>
    <dd><b class="${level}">${value}</b> <small>${note}</small></dd>
  </div>`
}

/** Sets explicit roles, because on a small screen the rows become cards and `display: block` removes their table roles. */
function table(caption: string, heads: readonly string[], rows: readonly Html[]): Html {
  return html`<table role="table">
    <caption>
      ${caption}
    </caption>
    <thead role="rowgroup">
      <tr role="row">
        ${heads.map(head => html`<th role="columnheader" scope="col">${head}</th>`)}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${rows}
    </tbody>
  </table>`
}

function targetsOf({ targets }: ClientStatus): Html {
  const answers = targets.reduce((sum, target) => sum + target.recent.answered, 0)
  const heads = [
    'Target',
    'State now',
    'Answers in 5 min',
    'Failures in 5 min',
    'First content',
    'In flight',
    'Retries left',
    'Cost',
  ]
  return table(
    'Targets, in the order in which they are asked',
    heads,
    targets.map(target => targetRow(target, answers)),
  )
}

function targetRow(target: TargetStatus, allAnswers: number): Html {
  const { state, reason, untilMs, sinceMs, recent, firstChunkMs, inFlight, limit, server, waiting, retriesLeft, cost } = target
  const { sign, words, level } = states[state]
  const why =
    state === 'closed'
      ? ''
      : [reason, untilMs === undefined ? `for ${duration(sinceMs)}` : `next try in ${duration(untilMs)}`]
          .filter(Boolean)
          .join(', ')
  const replica = target.name === undefined ? target.model : `${target.provider} ${target.model}`
  return html`<tr role="row">
    <th role="rowheader" scope="row">
      ${target.targetIndex + 1}. ${nameOf(target)} <small>${replica}, step ${target.step + 1}</small>
    </th>
    ${cell('State', html`<b class="${level}"><span aria-hidden="true">${sign}</span> ${words}</b> <small>${why}</small>`)}
    ${cell('Answers', html`${recent.answered} <small>${share(recent.answered, allAnswers)}</small>`)}
    ${cell('Failures', html`<span class="${recent.failed > 0 ? 'bad' : ''}">${recent.failed}</span>`)}
    ${cell('First content', firstChunkMs === undefined ? html`<small>unknown</small>` : html`${duration(firstChunkMs.p50)} <small>p98 ${duration(firstChunkMs.p98)}</small>`)}
    ${cell('In flight', html`${inFlight}${limit === undefined ? '' : ` of ${limit}`} <small>${waiting} waiting${server === undefined ? '' : `; ${serverWords(server)}`}</small>`)}
    ${cell('Retries left', html`${retriesLeft}`)} ${cell('Cost', html`${dollars(cost)}`)}
  </tr>`
}

function cell(label: string, content: Html): Html {
  return html`<td role="cell" data-label="${label}"><span>${content}</span></td>`
}

/** The pings of targets that are kept warm. They are not attempts of calls, so they have a table of their own. */
function pingsOf({ targets, at }: ClientStatus): Html {
  const rows = targets.flatMap(target => (target.keepWarm === undefined ? [] : [pingRow(target, target.keepWarm, at)]))
  return rows.length === 0 ? html`` : table('Pings that keep servers warm', ['Target', 'Sent', 'Failed', 'Last'], rows)
}

function pingRow(target: TargetStatus, pings: Pings, at: string): Html {
  const { sent, failed, lastAt } = pings
  const last =
    lastAt === undefined
      ? html`<small>none yet</small>`
      : html`${duration(Math.max(0, Date.parse(at) - Date.parse(lastAt)))} ago <small>${pingResult(pings)}</small>`
  return html`<tr role="row">
    <th role="rowheader" scope="row">${target.targetIndex + 1}. ${nameOf(target)}</th>
    ${cell('Sent', html`${sent}`)} ${cell('Failed', html`<span class="${failed > 0 ? 'bad' : ''}">${failed}</span>`)}
    ${cell('Last', last)}
  </tr>`
}

function failuresOf({ targets, at }: ClientStatus): Html {
  const groups = failureGroups(targets)
  if (groups.length === 0)
    return html`<h2>Last failed attempts</h2>
      <p>None.</p>`
  const heads = ['Failure', 'Newest', 'Of the last ten failures', 'Request id of the newest']
  return table(
    'Last failed attempts, by kind',
    heads,
    groups.map(group => failureRow(group, at)),
  )
}

function failureRow({ target, reason, status, count, newest, oldest, requestId }: FailureGroup, at: string): Html {
  const ago = duration(Math.max(0, Date.parse(at) - Date.parse(newest)))
  return html`<tr role="row">
    <th role="rowheader" scope="row">
      ${reason}${status === undefined ? '' : ` (HTTP ${status})`} <small>${target.targetIndex + 1}. ${nameOf(target)}</small>
    </th>
    ${cell('Newest', html`${ago} ago <small>${timeOfDay(newest)}</small>`)}
    ${cell('Count', html`${count} <small>since ${timeOfDay(oldest)}</small>`)}
    ${cell('Request id', requestId === undefined ? html`<small>none</small>` : html`<code>${requestId}</code>`)}
  </tr>`
}
