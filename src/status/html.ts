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

function escape(text: string): string {
  // other control characters are not allowed in HTML
  // eslint-disable-next-line no-control-regex -- they are what is looked for
  return text.replaceAll(/[&<>"']/g, each => entities[each] ?? each).replaceAll(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g, '\uFFFD')
}
