import { type Command, exitCode, parseWords, UsageError, type World } from './command.ts'
import { diagnose, type Diagnosis, type Finding } from './diagnosis.ts'
import { inspectMachine, type Machine } from './machine.ts'
import { codeOf, givenBaseURL, type Service, services } from './services.ts'
import { duration, oneLine, type Terminal } from './terminal.ts'

const help = `unbusy doctor - shows which keys and servers there are, whether they answer, and what is wrong.

It asks DeepSeek for its models and the balance, and every other service for its models. None of that costs anything. It also
inspects your own servers: open paths that need no key, a short context, a reasoning parser that is off, an unlimited queue.
It prints no key and no part of a key.

  --json   the findings as JSON

Addresses   NAME_BASE_URL sets the address of a service: DEEPSEEK_BASE_URL, OPENAI_BASE_URL, LLAMA_BASE_URL, OLLAMA_BASE_URL,
            VLLM_BASE_URL, SGLANG_BASE_URL, TENSORRT_LLM_BASE_URL, and those of the hosts (AZURE_BASE_URL, ...)
Exit codes  0 at least one service can answer, 1 none can, 2 wrong usage, 130 Ctrl-C`

/** A server of one's own is found at once, but one that was set up there on purpose may be busy, or this machine. */
const limitsMs = { usual: 1_000, given: 5_000 }

type Report = { readonly machine: Machine; readonly diagnoses: readonly Diagnosis[] }

export const doctor: Command = {
  help,
  async run(words, world) {
    const { values, positionals } = parseWords(words, { json: { type: 'boolean' } })
    if (positionals.length > 0) throw new UsageError('doctor takes no arguments.')
    const report = await examine(world.signal)
    if (world.signal.aborted) throw world.signal.reason
    if (values.json === true) tellJson(report, world.stdout)
    else tell(report, world)
    return report.diagnoses.some(({ finding }) => finding.state === 'answers') ? exitCode.answered : exitCode.unanswered
  },
}

async function examine(signal: AbortSignal): Promise<Report> {
  const diagnoses = services.map(service =>
    diagnose(service, { signal, limitMs: isUsual(service) ? limitsMs.usual : limitsMs.given }),
  )
  const [machine, ...found] = await Promise.all([inspectMachine(signal), ...diagnoses])
  return { machine, diagnoses: found.map(diagnosis => ofAnotherRegion(diagnosis, found)) }
}

/** A local server at its default address, where there may be none. */
function isUsual(service: Service): boolean {
  return service.kind === 'local' && givenBaseURL(service) === undefined
}

/** Two regions of a host share one variable, but a key is valid in only one of them. The other region then counts as absent, not as faulty. */
function ofAnotherRegion(diagnosis: Diagnosis, all: readonly Diagnosis[]): Diagnosis {
  const { finding, isLocked } = diagnosis
  const home = all.find(other => other.finding.state === 'answers' && other.finding.keyVariable === finding.keyVariable)
  if (!isLocked || home === undefined) return diagnosis
  const detail = `${finding.keyVariable} is a key of ${home.finding.name}`
  return { ...diagnosis, finding: { ...finding, state: 'absent', detail, cure: undefined } }
}

function stepsOf({ diagnoses }: Report) {
  return diagnoses.map(({ step }) => step).filter(step => step !== undefined)
}

function tellJson(report: Report, stdout: Terminal): void {
  const { machine, diagnoses } = report
  const steps = stepsOf(report)
  const chain = steps.map(({ target }) => ({ provider: target.provider.name, model: target.model }))
  const code = steps.length === 0 ? undefined : codeOf(steps)
  const findings = diagnoses.map(({ finding }) => finding)
  const ok = findings.some(({ state }) => state === 'answers')
  stdout.line(JSON.stringify({ ok, machine, services: findings, chain, code }, undefined, 2))
}

function tell(report: Report, { stdout }: World): void {
  const { machine, diagnoses } = report
  const findings = diagnoses.map(({ finding }) => finding)
  const { paint } = stdout
  stdout.line()
  stdout.line(nodeLine(machine, paint))
  for (const gpu of machine.gpus ?? []) stdout.line(`  ${paint('good', '✓')} ${'gpu'.padEnd(22)} ${oneLine(gpu, 100)}`)
  stdout.line()
  for (const finding of findings) {
    if (!isTold(finding)) continue
    stdout.line(findingLine(finding, stdout))
    for (const { what, cure } of finding.advice) stdout.line(`      ${paint('wait', '!')} ${what}: ${paint('strong', cure)}`)
  }
  const others = findings.filter(finding => !isTold(finding)).length
  stdout.line(paint('quiet', `  – ${others} more services are supported; --json lists them with the variables of their keys`))
  stdout.line()
  tellChain(report, stdout)
}

function nodeLine({ node, nodeIsNewEnough }: Machine, paint: Terminal['paint']): string {
  const cure = nodeIsNewEnough ? '' : ': unbusy needs 22.19 or newer'
  return `  ${nodeIsNewEnough ? paint('good', '✓') : paint('bad', '✗')} ${'node'.padEnd(22)} ${node}${cure}`
}

/** Hides hosts, and servers without a default address, unless the user has configured them. */
function isTold({ kind, state, baseURL }: Finding): boolean {
  return state !== 'absent' || (kind !== 'host' && baseURL !== '')
}

const marks = {
  answers: { mark: '✓', tone: 'good' },
  fault: { mark: '✗', tone: 'bad' },
  absent: { mark: '–', tone: 'quiet' },
} as const

function findingLine({ name, state, detail, cure, durationMs }: Finding, { paint }: Terminal): string {
  const { mark, tone } = marks[state]
  const time = state === 'answers' && durationMs !== undefined ? paint('quiet', ` (${duration(durationMs)})`) : ''
  const what = `${oneLine(detail, 160)}${cure === undefined ? '' : `: ${cure}`}`
  return `  ${paint(tone, mark)} ${name.padEnd(22)} ${state === 'absent' ? paint('quiet', what) : what}${time}`
}

function tellChain(report: Report, stdout: Terminal): void {
  const steps = stepsOf(report)
  const { paint } = stdout
  if (steps.length === 0) {
    stdout.line(`  ${withoutChain(report, paint)}`)
  } else {
    stdout.line(`  ${paint('strong', 'The chain:')}`)
    stdout.line()
    for (const line of codeOf(steps).split('\n')) stdout.line(line === '' ? '' : `    ${line}`)
  }
  stdout.line()
}

/** A host without a DeepSeek model is not added to the chain automatically, but may still offer other models. */
function withoutChain({ diagnoses }: Report, paint: Terminal['paint']): string {
  const host = diagnoses.find(({ finding }) => finding.state === 'answers')?.finding
  if (host === undefined)
    return `${paint('bad', 'No service can answer.')} Set DEEPSEEK_API_KEY, or start a local server: llama-server -m model.gguf`
  const example = `host('${host.name}', '${oneLine(host.models[0] ?? 'model', 80)}')`
  return `${host.name} answers, but lists no DeepSeek model. Name the model that you want, for example ${example}`
}
