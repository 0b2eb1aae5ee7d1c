import type { JsonSchema } from '../contract.ts'
import { jsonSchemaOf } from './json-schema-of.ts'
import { type InferOutput, isStandardSchema, type StandardSchema, type Validated } from './standard-schema.ts'

/**
 * A schema whose value may be wrapped: the answer is always a JSON object, because OpenAI and strict tools accept nothing else, so a
 * value of another type is put into a field of an object.
 */
type Form<Output> = StandardSchema<unknown, Output> & {
  readonly '~form': {
    readonly field: string
    readonly jsonSchema: (name: string) => JsonSchema
    /** The schema of each item, if a stream reports the items of a list one by one. */
    readonly element?: StandardSchema | undefined
    /** Words that are also accepted as plain text, without JSON. */
    readonly words?: readonly string[] | undefined
  }
}

export function isForm(schema: StandardSchema): schema is Form<unknown> {
  return '~form' in schema
}

/** One of several words, for a classification. */
export type Choice<Word extends string> = Form<Word>

/**
 * Makes the model answer with one of these words.
 *
 * @example
 * const { output } = await client.generate({ prompt, output: choice(['positive', 'negative']) })
 */
export function choice<const Word extends string>(words: readonly Word[]): Choice<Word> {
  if (!Array.isArray(words) || words.length === 0 || !words.every(word => typeof word === 'string' && word !== '')) {
    throw new TypeError("choice: the argument must be a list of strings. Write, for example, choice(['positive', 'negative']).")
  }
  const isWord = (value: unknown): value is Word => words.some(word => word === value)
  return {
    '~standard': {
      version: 1,
      vendor: 'unbusy',
      validate: value => (isWord(value) ? { value } : { issues: [{ message: `Expected one of ${words.join(', ')}.` }] }),
    },
    '~form': { field: 'choice', jsonSchema: () => ({ type: 'string', enum: words }), words },
  }
}

/** A list whose items a stream reports one by one, each validated. */
export type ArrayOf<Element> = Form<Element[]>

/**
 * Makes the model answer with a list. A stream reports each item by an `element` event as soon as it is complete.
 *
 * @example
 * const stream = await client.stream({ prompt: 'Ten names for a cat.', output: array(z.object({ name: z.string() })) })
 * for await (const event of stream) if (event.type === 'element') console.log(event.element.name)
 */
export function array<Schema extends StandardSchema>(element: Schema): ArrayOf<InferOutput<Schema>> {
  if (!isStandardSchema(element))
    throw new TypeError('array: the argument must be the schema of one item. Write, for example, array(z.string()).')
  return {
    '~standard': { version: 1, vendor: 'unbusy', validate: value => validateItems<InferOutput<Schema>>(element, value) },
    '~form': {
      field: 'elements',
      jsonSchema: name => listOf(jsonSchemaOf(element, name)),
      element,
    },
  }
}

function listOf({ $defs, ...items }: JsonSchema): JsonSchema {
  return { type: 'array', items, ...($defs === undefined ? undefined : { $defs }) }
}

function validateItems<Element>(schema: StandardSchema, value: unknown): Validated<Element[]> | Promise<Validated<Element[]>> {
  if (!Array.isArray(value)) return { issues: [{ message: 'Expected a list.' }] }
  const items = value.map(item => schema['~standard'].validate(item) as Validated<Element> | Promise<Validated<Element>>)
  const isSettled = (item: (typeof items)[number]): item is Validated<Element> => !(item instanceof Promise)
  return items.every(isSettled) ? together(items) : Promise.all(items.map(async item => item)).then(together)
}

function together<Element>(items: readonly Validated<Element>[]): Validated<Element[]> {
  const issues = items.flatMap((item, index) =>
    (item.issues ?? []).map(({ message, path = [] }) => ({ message, path: [index, ...path] })),
  )
  if (issues.length > 0) return { issues }
  return { value: items.flatMap(item => ('value' in item ? [item.value] : [])) }
}
