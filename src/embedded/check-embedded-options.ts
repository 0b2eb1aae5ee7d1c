import { callback, type Check, checkOptions, isRecord, record, text } from '../check.ts'

const positive: Check = (value, name) => {
  if (!Number.isInteger(value) || Number(value) <= 0) throw new TypeError(`${name} must be a whole number above 0.`)
}

const checks = {
  modelPath: text,
  model: text,
  contextTokens: positive,
  parallel: positive,
  threads: positive,
  gpu: (value: unknown, name: string) => {
    if (value !== 'auto' && value !== false) throw new TypeError(`${name} must be 'auto' or false.`)
  },
  retry: (value: unknown, name: string) => {
    if (isRecord(value) || (Number.isInteger(value) && Number(value) >= 0)) return
    throw new TypeError(`${name} must be a whole number, 0 or more, or an object.`)
  },
  timeout: record,
  price: record,
  budget: record,
  when: callback,
  prepare: callback,
  limits: record,
  keepWarm: record,
}

/** Throws a `TypeError` for wrong options before anything is loaded. */
export function checkEmbeddedOptions(options: unknown): void {
  checkOptions(options, checks, 'embedded')
  if (!isRecord(options) || options['modelPath'] === undefined) {
    throw new TypeError("embedded: modelPath must be the path of a GGUF file. Write { modelPath: 'model.gguf' }.")
  }
}
