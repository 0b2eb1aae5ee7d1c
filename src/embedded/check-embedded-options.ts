type Check = { readonly accepts: (value: unknown) => boolean; readonly wants: string }

const text: Check = { accepts: value => typeof value === 'string' && value !== '', wants: 'a text that is not empty' }
const wholeNumber: Check = { accepts: value => Number.isInteger(value) && Number(value) > 0, wants: 'a whole number above 0' }
const record: Check = { accepts: isRecord, wants: 'an object' }

const checks: Readonly<Record<string, Check>> = {
  modelPath: { ...text, wants: 'the path of a GGUF file' },
  model: text,
  contextTokens: wholeNumber,
  parallel: wholeNumber,
  threads: wholeNumber,
  gpu: { accepts: value => value === 'auto' || value === false, wants: "'auto' or false" },
  retry: {
    accepts: value => isRecord(value) || (Number.isInteger(value) && Number(value) >= 0),
    wants: 'a whole number, 0 or more, or an object',
  },
  timeout: record,
  price: record,
  when: { accepts: value => typeof value === 'function', wants: 'a function' },
}

/** Wrong options are a `TypeError` before anything is loaded. */
export function checkEmbeddedOptions(options: unknown): void {
  if (!isRecord(options)) throw new TypeError("embedded: options must be an object like { modelPath: 'model.gguf' }.")
  for (const [name, value] of Object.entries({ modelPath: undefined, ...options })) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (check === undefined)
      throw new TypeError(`embedded: there is no option '${name}'. Known are: ${Object.keys(checks).join(', ')}.`)
    if (value === undefined ? name === 'modelPath' : !check.accepts(value))
      throw new TypeError(`embedded: ${name} must be ${check.wants}.`)
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
