/** HTML that was made in this file, so its values are escaped. */
export type Html = { readonly html: string }

type Value = string | number | Html | readonly Html[] | undefined

/** Writes HTML. All values are escaped, except HTML that was written with this function. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  let text = parts[0] ?? ''
  for (const [index, value] of values.entries()) text += textOf(value) + (parts[index + 1] ?? '')
  return { html: text }
}

function textOf(value: Value): string {
  if (value === undefined) return ''
  if (typeof value === 'string' || typeof value === 'number') return escape(String(value))
  return 'html' in value ? value.html : value.map(each => each.html).join('')
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Control characters are not allowed in HTML. The others turn the direction of writing: an id would be read from its end. */
// eslint-disable-next-line no-control-regex -- they are what is looked for
const forbidden = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]/g

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, each => entities[each] ?? each).replaceAll(forbidden, '\uFFFD')
}
