/** Pictures for README and docs: SVG without a dependency, light and dark, readable on a phone. */

/** Units of a picture. A phone shows it about 340 px wide, so that the smallest text is about 11 px high there. */
export const width = 480
export const smallest = 16

export type Colour = 'ink' | 'soft' | 'line' | 'band' | 'good' | 'bad' | 'other' | 'wait'

const light: Readonly<Record<Colour, string>> = {
  ink: '#1f2328',
  soft: '#59636e',
  line: '#d1d9e0',
  band: '#ffebe9',
  good: '#1a7f37',
  bad: '#cf222e',
  other: '#8250df',
  wait: '#9a6700',
}

const dark: Readonly<Record<Colour, string>> = {
  ink: '#f0f6fc',
  soft: '#a8b1bb',
  line: '#3d444d',
  band: '#3a1d1f',
  good: '#3fb950',
  bad: '#f85149',
  other: '#b392f0',
  wait: '#d29922',
}

export type Point = readonly [x: number, y: number]
export type TextOptions = {
  readonly size?: number
  readonly colour?: Colour
  readonly anchor?: 'start' | 'middle' | 'end'
  readonly isBold?: boolean
}

export function text([x, y]: Point, words: string, options: TextOptions = {}): string {
  const { size = smallest, colour = 'ink', anchor = 'start', isBold = false } = options
  const weight = isBold ? ' font-weight="600"' : ''
  return `<text x="${short(x)}" y="${short(y)}" font-size="${size}" text-anchor="${anchor}" class="f-${colour}"${weight}>${escaped(words)}</text>`
}

export type Box = { readonly x: number; readonly y: number; readonly width: number; readonly height: number }

export function box({ x, y, width: wide, height }: Box, colour: Colour, opacity = 1): string {
  const see = opacity === 1 ? '' : ` opacity="${opacity}"`
  return `<rect x="${short(x)}" y="${short(y)}" width="${short(wide)}" height="${short(height)}" rx="2" class="f-${colour}"${see}/>`
}

export function line(points: readonly Point[], colour: Colour, { wide = 2, dash = '' } = {}): string {
  const [first, ...rest] = points.map(([x, y]) => `${short(x)} ${short(y)}`)
  const dashes = dash === '' ? '' : ` stroke-dasharray="${dash}"`
  return `<path d="M${[first, ...rest].join('L')}" fill="none" stroke-width="${wide}" stroke-linejoin="round" class="s-${colour}"${dashes}/>`
}

/** The file: `title` and `about` are read by those who do not see the picture. */
export function picture(height: number, { title, about }: { title: string; about: string }, parts: readonly string[]): string {
  const rules = (of: Readonly<Record<Colour, string>>) =>
    Object.entries(of)
      .map(([name, value]) => `.f-${name}{fill:${value}}.s-${name}{stroke:${value}}`)
      .join('')
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width * 1.4}" height="${height * 1.4}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<desc>${escaped(about)} Made by: npm run simulate -- --plot</desc>`,
    `<style>text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}${rules(light)}@media (prefers-color-scheme:dark){${rules(dark)}}</style>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

function short(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
