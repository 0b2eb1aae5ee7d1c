import type { JsonSchema } from '../contract.ts'
import type { Form } from './form.ts'
import { jsonSchemaOf } from './json-schema-of.ts'
import { type InferOutput, isStandardSchema, type StandardSchema, type Validated } from './standard-schema.ts'

/** A list whose items a stream hands out one by one, each validated. */
export type ArrayOf<Element> = Form<Element[]>

/**
 * The model must answer a list. A stream tells each item as soon as it is whole, by an `element` event.
 *
 * @example
 * const stream = await client.stream({ prompt: 'Ten names for a cat.', output: array(z.object({ name: z.string() })) })
 * for await (const event of stream) if (event.type === 'element') console.log(event.element.name)
 */
export function array<Schema extends StandardSchema>(element: Schema): ArrayOf<InferOutput<Schema>> {
  if (!isStandardSchema(element)) throw new TypeError('array: give the schema of one item, for example array(z.string()).')
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
