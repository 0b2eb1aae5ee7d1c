import type { Ledger } from '../world/ledger.ts'
import { succeeded } from '../measures.ts'
import { aiSdk, openaiSdk } from '../policies/peers.ts'
import { unbusy } from '../policies/unbusy.ts'
import type { Policy } from '../policy.ts'
import { baseRps, scenarios, type Scenario } from '../scenarios.ts'
import { simulate } from '../simulate.ts'
import { box, type Colour, line, picture, type Point, smallest, text, width } from './svg.ts'

/** What is drawn: this long before the minute of the outage, and after it, in seconds. */
const before = 15
const after = 45
/** A point for this many seconds: with 100 calls a second, chance would draw more than the outage does. */
const step = 3
const seeds = [1, 2, 3]

type Curve = { readonly perSecond: readonly number[]; readonly share: number }

/** Calls answered a second through a minute in which the first service refuses, under three rules. */
export async function outagePicture(): Promise<string> {
  const scenario = scenarios.find(({ name }) => name === 'S1')!
  const curves = {
    unbusy: await curveOf(unbusy, scenario),
    openai: await curveOf(openaiSdk, scenario),
    ai: await curveOf(aiSdk, scenario),
  }
  return draw(curves)
}

async function curveOf(policy: Policy, scenario: Scenario): Promise<Curve> {
  const days: Ledger[] = []
  for (const seed of seeds) days.push(await simulate({ scenario, policy, processes: 50, seed }))
  const places = (before + 60 + after) / step
  const perSecond = Array.from({ length: places }, () => 0)
  let [answered, arrived] = [0, 0]
  for (const day of days) {
    const good = succeeded(day)
    day.arrivals.at.forEach((at, call) => {
      const isOfOutage = at >= scenario.bad.fromMs && at < scenario.bad.toMs
      if (isOfOutage) arrived++
      if (!good(call)) return
      if (isOfOutage) answered++
      const place = Math.floor(((day.settledAt[call] ?? NaN) - scenario.bad.fromMs + before * 1_000) / (step * 1_000))
      if (place >= 0 && place < places) perSecond[place]! += 1 / (step * seeds.length)
    })
  }
  return { perSecond, share: answered / arrived }
}

const [left, right, top, bottom] = [44, 12, 142, 300]
const xOf = (second: number) => left + ((second + before) / (before + 60 + after)) * (width - left - right)
/** The top of the picture: after an outage, those who waited come on top. */
const most = 200
const yOf = (calls: number) => bottom - (calls / most) * (bottom - top)

function draw({ unbusy: ours, openai, ai }: Readonly<Record<'unbusy' | 'openai' | 'ai', Curve>>): string {
  const title = 'Calls answered a second, while DeepSeek is down for a minute'
  const rows: readonly (readonly [string, Curve, Colour, string])[] = [
    ['unbusy', ours, 'good', ''],
    ['openai package’s retries', openai, 'bad', '7 3'],
    ['AI SDK’s retries', ai, 'other', '2 3'],
  ]
  const about = rows.map(([name, { share }]) => `${name}: ${percent(share)} of the calls of that minute answered.`).join(' ')
  return picture(340, { title, about }, [
    text([0, 20], 'Calls answered a second,', { size: 20, isBold: true }),
    text([0, 44], 'while DeepSeek is down for a minute', { size: 20, isBold: true }),
    ...rows.flatMap(([name, { share }, colour, dash], row) => legend(64 + row * 22, { name, share, colour, dash })),
    ...frame(),
    ...rows.toReversed().map(([, curve, colour, dash]) => line(pointsOf(curve), colour, { wide: dash === '' ? 3.5 : 2.5, dash })),
  ])
}

type Legend = { readonly name: string; readonly share: number; readonly colour: Colour; readonly dash: string }

function legend(y: number, { name, share, colour, dash }: Legend): string[] {
  return [
    line(
      [
        [2, y],
        [34, y],
      ],
      colour,
      { wide: dash === '' ? 4 : 3, dash },
    ),
    text([44, y + 5], name, { colour, isBold: true }),
    text([width - right, y + 5], `${percent(share)} answered`, { anchor: 'end', colour, isBold: true }),
  ]
}

function frame(): string[] {
  const levels = [0, baseRps, 2 * baseRps]
  return [
    box({ x: xOf(0), y: top, width: xOf(60) - xOf(0), height: bottom - top }, 'band'),
    text([xOf(30), yOf(50) + 5], 'DeepSeek answers 503', { anchor: 'middle', colour: 'soft' }),
    ...levels.flatMap(level => [
      line(
        [
          [left, yOf(level)],
          [width - right, yOf(level)],
        ],
        'line',
        { wide: 1 },
      ),
      text([left - 6, yOf(level) + 5], String(level), { anchor: 'end', colour: 'soft' }),
    ]),
    ...[0, 30, 60, 90].map(second =>
      text([xOf(second), bottom + smallest + 6], second === 0 ? '0 s' : `${second} s`, { anchor: 'middle', colour: 'soft' }),
    ),
  ]
}

function pointsOf({ perSecond }: Curve): Point[] {
  return perSecond.map((calls, place) => [xOf(-before + (place + 0.5) * step), yOf(Math.min(most, calls))])
}

function percent(share: number): string {
  const hundredths = share * 100
  return hundredths > 99 && hundredths < 99.95 ? `${hundredths.toFixed(1)} %` : `${Math.round(hundredths)} %`
}
