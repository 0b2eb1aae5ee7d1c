import type { JsonSchema, ToolChoice, ToolSet } from '../../index.ts'
import { type CheckedSchema, describeSchema, schemaOf } from '../json-schemas.ts'
import { type Fields, fieldsOf, flagOf, given, listOf, optionalText, textOf, wrongText } from './fields.ts'
import { RequestError } from './request-error.ts'

/** The most characters of JSON Schema that are compiled per request, because compiling blocks all other requests. */
const mostSchema = 512 * 1024

export type SchemaSpace = { left: number }

export function schemaSpace(): SchemaSpace {
  return { left: mostSchema }
}

function readSchema(value: unknown, param: string, space: SchemaSpace): CheckedSchema {
  const schema: JsonSchema = fieldsOf(value, param)
  const text = JSON.stringify(schema)
  space.left -= text.length
  if (space.left < 0)
    throw new RequestError(`The schemas of a request may have at most ${mostSchema} characters in total.`, { param, status: 413 })
  return schemaOf(schema, text)
}

const toolName = /^[\w.-]{1,64}$/

export function readTools(value: unknown, space: SchemaSpace): ToolSet | undefined {
  if (value === undefined) return undefined
  const tools = listOf(value, 'tools').map((tool, index) => readTool(tool, `tools[${index}]`, space))
  const names = tools.map(([name]) => name)
  const twice = names.findIndex((name, index) => names.indexOf(name) < index)
  if (twice >= 0) throw new RequestError('Two tools have the same name.', { param: `tools[${twice}].function.name` })
  return tools.length === 0 ? undefined : Object.fromEntries(tools)
}

function readTool(value: unknown, param: string, space: SchemaSpace): readonly [string, ToolSet[string]] {
  const tool = fieldsOf(value, param)
  const { type } = tool
  if (type !== 'function') {
    const kind = typeof type === 'string' ? `of the type '${type.slice(0, 80)}'` : 'without a type'
    throw new RequestError(`Tools ${kind} are not supported, only those of the type 'function'.`, { param: `${param}.type` })
  }
  const definition = fieldsOf(tool['function'], `${param}.function`)
  const name = textOf(definition['name'], `${param}.function.name`)
  if (!toolName.test(name) || name === '__proto__')
    throw wrongText(`${param}.function.name`, 'a name of 1 to 64 letters, digits, dots, hyphens and underscores', name)
  const parameters = given(definition, 'parameters') ?? { type: 'object', properties: {} }
  return [
    name,
    {
      description: optionalText(given(definition, 'description'), `${param}.function.description`),
      inputSchema: readSchema(parameters, `${param}.function.parameters`, space),
      strict: flagOf(given(definition, 'strict'), `${param}.function.strict`),
    },
  ]
}

export function readToolChoice(value: unknown, tools: ToolSet | undefined): ToolChoice | undefined {
  const param = 'tool_choice'
  if (value === undefined) return undefined
  if (value === 'auto' || value === 'none' || value === 'required') {
    if (value === 'required' && tools === undefined)
      throw new RequestError("'tool_choice' is 'required', but there are no tools.", { param })
    return tools === undefined ? undefined : value
  }
  const wanted = "'auto', 'none', 'required' or { type: 'function', function: { name } }"
  if (typeof value === 'string') throw wrongText(param, wanted, value)
  const choice = fieldsOf(value, param)
  if (choice['type'] !== 'function') throw new RequestError(`'tool_choice' may be ${wanted}.`, { param })
  const name = textOf(fieldsOf(choice['function'], `${param}.function`)['name'], `${param}.function.name`)
  if (tools === undefined || !Object.hasOwn(tools, name))
    throw new RequestError("'tool_choice' names a tool that is not in 'tools'.", { param: `${param}.function.name` })
  return { toolName: name }
}

/** Returns the schema of the answer; `undefined` if any text is allowed. */
export function readResponseFormat(value: unknown, space: SchemaSpace): CheckedSchema | undefined {
  const param = 'response_format'
  if (value === undefined) return undefined
  const format = fieldsOf(value, param)
  switch (format['type']) {
    case 'text':
      return undefined
    case 'json_object':
      return readSchema({ type: 'object' }, param, space)
    case 'json_schema':
      return readSchema(describedSchema(fieldsOf(format['json_schema'], `${param}.json_schema`)), `${param}.json_schema`, space)
    default:
      throw wrongText(`${param}.type`, "'text', 'json_object' or 'json_schema'", format['type'])
  }
}

/** Moves name and description into the schema, where we expect them. */
function describedSchema(fields: Fields): Fields {
  const param = 'response_format.json_schema'
  const schema = fieldsOf(given(fields, 'schema') ?? { type: 'object' }, `${param}.schema`)
  const title = optionalText(given(fields, 'name'), `${param}.name`)
  const description = optionalText(given(fields, 'description'), `${param}.description`)
  return describeSchema(schema, { title, description })
}
