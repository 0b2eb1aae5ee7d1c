import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import type { Target } from '../../src/contract-targets.ts'
import { policy } from '../../src/chain/policy.ts'
import { gateSettings } from '../../src/health/gate.ts'
import { limiterSettings } from '../../src/health/limiter.ts'
import { localFaultSettings } from '../../src/health/local-fault.ts'
import { loadFirst } from '../../src/health/settings.ts'
import { waitingSettings } from '../../src/health/waiters.ts'
import { defaults } from '../../src/options.ts'
import { embedded } from '../../src/embedded/index.ts'
import { deepseek, llama, ollama, openai, openaiCompatible, sglang, tensorrtLlm, textGeneration, vllm } from '../../src/index.ts'
import { type Host, hosts } from '../../src/providers/hosts.ts'
import { prices } from '../../src/providers/prices.ts'
import { tableOf } from './markdown.ts'

/** Tables in the docs that repeat what the code says: `<!-- table: name -->` stands above each. */
const repository = join(import.meta.dirname, '../..')
const paths = globSync(['README.md', 'docs/*.md'], { cwd: repository })
const pages = new Map(paths.map(path => [path, readFileSync(join(repository, path), 'utf8')]))

type Row = readonly string[]

/** The first columns of each table, as the code has them. */
const expected: Readonly<Record<string, readonly Row[]>> = {
  policy: Object.entries(policy).map(([reason, { decision, charged, again }]) => [reason, decision, charged, again]),
  ...tablesOf('defaults', defaults),
  ...tablesOf('health', {
    ...loadFirst,
    ...{ limiter: limiterSettings, gate: gateSettings, waiting: waitingSettings, localFault: localFaultSettings },
  }),
  ClientOptions: membersOf('src/options.ts', 'ClientOptions'),
  GenerateInput: membersOf('src/options.ts', 'GenerateInput'),
  ServiceOptions: [
    ...membersOf('src/contract-targets.ts', 'Target'),
    ...membersOf('src/providers/target.ts', 'ServiceOptions'),
  ].filter(([name]) => name !== 'provider' && name !== 'model'),
  DialectOptions: membersOf('src/providers/dialect-options.ts', 'DialectOptions'),
  DeepSeekOptions: membersOf('src/providers/deepseek.ts', 'DeepSeekOptions'),
  OllamaOptions: membersOf('src/providers/ollama.ts', 'OllamaOptions'),
  TextGenerationOptions: membersOf('src/providers/text-generation.ts', 'TextGenerationOptions'),
  OpenAICompatibleOptions: membersOf('src/providers/openai-compatible.ts', 'OpenAICompatibleOptions'),
  ResponseOptions: membersOf('src/answer/web-body.ts', 'ResponseOptions'),
  EmbeddedOptions: membersOf('src/embedded/embedded.ts', 'EmbeddedOptions'),
  GatewaySettings: membersOf('src/interop/gateway/config.ts', 'GatewaySettings'),
  AiSdkOptions: membersOf('src/interop/ai-sdk/ai-sdk.ts', 'AiSdkOptions'),
  ChatHandlerOptions: [
    ...membersOf('src/interop/openai/endpoint.ts', 'EndpointOptions'),
    ...membersOf('src/interop/openai/chat-handler.ts', 'ChatHandlerOptions'),
  ],
  StreamEvent: namesIn('src/answer/stream-event.ts', 'export type StreamEvent', 'type ElementOf'),
  ClientEvent: namesIn('src/contract-events.ts', 'export type ClientEvent', 'export type EventListener'),
  PriceRule: membersOf('src/contract-targets.ts', 'PriceRule'),
  Costs: membersOf('src/cost.ts', 'Costs'),
  PrometheusOptions: membersOf('src/prometheus/prometheus.ts', 'PrometheusOptions'),
  OpenTelemetryOptions: membersOf('src/opentelemetry/open-telemetry.ts', 'OpenTelemetryOptions'),
  AttemptRecord: membersOf('src/contract-events.ts', 'AttemptRecord'),
  TargetSnapshot: membersOf('src/health/health.ts', 'TargetSnapshot'),
  capabilities: Object.entries(services()).map(([name, { provider }]) => {
    const { stream = true, tools, images, reasoning, output, prefix = false } = provider.capabilities ?? {}
    return [name, word(stream), word(tools), word(images), word(reasoning), output ?? 'tried', word(prefix)]
  }),
  outputs: Object.entries(services()).map(([name, { provider }]) => [name, provider.capabilities?.output ?? 'tried']),
  hosts: Object.entries<Host>(hosts).map(([name, host]) => [
    name,
    host.baseURL ?? 'yours',
    host.keyVariables.join(', ') || 'none',
    host.capabilities?.output ?? 'tried',
  ]),
  prices: Object.entries(prices).map(([model, { input, cachedInput, output }]) => [
    model,
    String(input),
    cachedInput === undefined ? '' : String(cachedInput),
    String(output),
  ]),
  serviceClocks: Object.entries(services()).flatMap(([name, { provider }]) => {
    const { headersMs, firstChunkMs, chunkMs } = { ...defaults.timeout, ...provider.timeout }
    return provider.timeout === undefined ? [] : [[name, number(headersMs), number(firstChunkMs), number(chunkMs)]]
  }),
}

const shown = [...pages].flatMap(([path, page]) =>
  [...page.matchAll(/<!-- table: (\S+) -->/g)].map(match => ({ path, name: match[1] ?? '' })),
)

test('every table that the code knows is somewhere', () => {
  const names = new Set(shown.map(({ name }) => name))
  expect(Object.keys(expected).filter(name => !names.has(name))).toEqual([])
})

describe.each(shown)('$path: the table of $name', ({ path, name }) => {
  test('says what the code says', () => {
    const rows = tableOf(pages.get(path) ?? '', name)
    const told = expected[name]
    expect(told, `nobody knows a table '${name}'`).toBeDefined()
    const width = told?.[0]?.length ?? 0
    // the policy's second column explains the reason
    const cut = rows?.map(row => (name === 'policy' ? [row[0], ...row.slice(2, 5)] : row.slice(0, width)))
    // names without values stand in the order in which a reader looks for them
    if (width === 1) expect(new Set(cut?.flat())).toEqual(new Set(told?.flat()))
    else expect(cut).toEqual(told)
  })
})

/** A table of name and default for each group of settings. */
function tablesOf(prefix: string, groups: Readonly<Record<string, object>>): Readonly<Record<string, readonly Row[]>> {
  return Object.fromEntries(
    Object.entries(groups).map(([group, settings]) => [
      `${prefix}.${group}`,
      Object.entries(settings).map(([name, value]) => [name, typeof value === 'number' ? number(value) : literal(value)]),
    ]),
  )
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}

/** As it is written in code: 20_000. */
function number(value: number): string {
  if (value === Infinity) return 'Infinity'
  return value >= 1_000 ? value.toLocaleString('en').replaceAll(',', '_') : String(value)
}

/** `tried`: not known, so nothing is held back from it. */
function word(value: boolean | undefined): string {
  return value === undefined ? 'tried' : value ? 'yes' : 'no'
}

function services(): Readonly<Record<string, Target>> {
  const baseURL = 'http://127.0.0.1:1'
  return {
    'deepseek-flash': deepseek('deepseek-flash'),
    'deepseek-v4-pro': deepseek('deepseek-v4-pro'),
    openai: openai(),
    llama: llama(),
    vllm: vllm('r1'),
    sglang: sglang(),
    tensorrtLlm: tensorrtLlm('r1'),
    ollama: ollama('r1'),
    textGeneration: textGeneration({ baseURL }),
    openaiCompatible: openaiCompatible('r1', { baseURL }),
    embedded: embedded({ modelPath: 'model.gguf' }),
  }
}

/** What stands behind `type:` between two places of a file: the names of events. */
function namesIn(file: string, from: string, to: string): readonly Row[] {
  const [, part = ''] = readFileSync(join(repository, file), 'utf8').split(from)
  const literals = [...(part.split(to)[0] ?? '').matchAll(/\btype: ((?:'[a-z-]+'(?: \| )?)+)/g)]
  const names = literals.flatMap(([, union = '']) => [...union.matchAll(/[a-z-]+/g)].map(([name]) => name))
  return [...new Set(names)].map(name => [name])
}

/** The names of a type's own members, wherever they stand in it: `A & { ... }` has those of the braces. */
function membersOf(file: string, type: string): readonly Row[] {
  const source = ts.createSourceFile(file, readFileSync(join(repository, file), 'utf8'), ts.ScriptTarget.Latest)
  const alias = source.statements.filter(ts.isTypeAliasDeclaration).find(statement => statement.name.text === type)
  const names: Row[] = []
  const collect = (node: ts.TypeNode | undefined): void => {
    if (node === undefined) return
    if (ts.isIntersectionTypeNode(node)) node.types.forEach(collect)
    if (ts.isTypeLiteralNode(node))
      names.push(...node.members.flatMap(member => (member.name === undefined ? [] : [[member.name.getText(source)]])))
  }
  collect(alias?.type)
  if (names.length === 0) throw new Error(`${file} has no type ${type} with members.`)
  return names
}
