import { checkTypes } from './check-types.ts'
import { kubernetesFaults } from './kubernetes-rules.ts'
import { literalOf } from './leader-worker-set.ts'
import { at, deploy, parseYaml, textAt, type Yaml } from './read.ts'

/** By the schemas of Kubernetes and its operators, by the compiler, and by our own rules. */
export async function faultsOf(text: string): Promise<readonly string[]> {
  const documents = await parseYaml(text)
  const found = await schemaFaults(documents)
  // the compiler takes a second: only for what passes the schemas
  return found.length > 0 ? found : [...typeFaults(documents), ...kubernetesFaults(documents)]
}

type Model = new (data: Yaml) => { validate(): void }

/** Where the models of each API group are. */
const groups: Readonly<Record<string, readonly [package_: string, path: string]>> = {
  v1: ['kubernetes-models', 'v1'],
  'apps/v1': ['kubernetes-models', 'apps/v1'],
  'policy/v1': ['kubernetes-models', 'policy/v1'],
  'networking.k8s.io/v1': ['kubernetes-models', 'networking.k8s.io/v1'],
  'keda.sh/v1alpha1': ['@kubernetes-models/keda', 'keda.sh/v1alpha1'],
  'monitoring.coreos.com/v1': ['@kubernetes-models/prometheus-operator', 'monitoring.coreos.com/v1'],
}

/** LeaderWorkerSet has no model: its pod templates have, and the compiler knows the rest. */
function partsOf(document: Yaml): readonly { readonly kind: string; readonly module: string; readonly data: Yaml }[] {
  const kind = textAt(document, 'kind')
  if (kind !== 'LeaderWorkerSet') {
    const [name, path] = groups[textAt(document, 'apiVersion')] ?? []
    if (name === undefined) throw new Error(`No model of ${textAt(document, 'apiVersion')} ${kind} is known.`)
    return [{ kind, module: `${name}/${path}`, data: document }]
  }
  const templates = [
    at(document, 'spec', 'leaderWorkerTemplate', 'leaderTemplate'),
    at(document, 'spec', 'leaderWorkerTemplate', 'workerTemplate'),
  ]
  return templates.map(data => ({ kind: 'PodTemplateSpec', module: 'kubernetes-models/v1', data: data ?? null }))
}

async function schemaFaults(documents: readonly Yaml[]): Promise<readonly string[]> {
  const faults: string[] = []
  for (const { kind, module, data } of documents.flatMap(partsOf)) {
    // a pod template has no `validate()` of its own: it is looked at inside of the kind that holds it
    const [name, whole] = kind === 'PodTemplateSpec' ? ['PodTemplate', templateOf(data)] : [kind, data]
    const models = await deploy.load<Readonly<Record<string, Model>>>(module)
    const model = models[name]
    if (model === undefined) throw new Error(`${module} has no ${name}.`)
    try {
      new model(whole).validate()
    } catch (error) {
      faults.push(`${kind}: ${String(error)}`)
    }
  }
  return faults
}

function templateOf(template: Yaml): Yaml {
  return { apiVersion: 'v1', kind: 'PodTemplate', metadata: { name: 'part' }, template }
}

/** Keys that do not exist pass a schema, and do not pass the compiler. */
function typeFaults(documents: readonly Yaml[]): readonly string[] {
  const lines = documents.flatMap((document, index) => {
    if (textAt(document, 'kind') === 'LeaderWorkerSet') return literalOf(document, `part${index}`)
    return partsOf(document).flatMap(({ kind, module, data }) => [
      `import type { I${kind} as T${index} } from '${module}'`,
      `export const part${index}: T${index} = ${JSON.stringify(data, undefined, 1)}`,
    ])
  })
  return checkTypes(lines.join('\n'), deploy.folder)
}
