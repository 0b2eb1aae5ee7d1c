import { flagOf, listAt, numberAt, textAt, type Yaml } from './read.ts'

/**
 * A LeaderWorkerSet of `leaderworkerset.x-k8s.io/v1`, for the compiler: no package has it. Its fields are those of
 * api/leaderworkerset/v1/leaderworkerset_types.go in kubernetes-sigs/lws, and pods and claims are as `kubernetes-models` has them.
 *
 * @public The compiler imports it in the files that {@link literalOf} writes.
 */
export type LeaderWorkerSet<Metadata, PodTemplate, Claim> = {
  readonly apiVersion: 'leaderworkerset.x-k8s.io/v1'
  readonly kind: 'LeaderWorkerSet'
  readonly metadata: Metadata
  readonly spec: {
    readonly replicas?: number
    readonly leaderWorkerTemplate: {
      /** Without it the leader is a pod like the workers. */
      readonly leaderTemplate?: PodTemplate
      readonly workerTemplate: PodTemplate
      /** Pods of a group, its leader among them. */
      readonly size?: number
      readonly restartPolicy?: 'RecreateGroupOnPodRestart' | 'RecreateGroupAfterStart' | 'None' | 'Default'
      readonly subGroupPolicy?: {
        readonly subGroupPolicyType?: 'LeaderWorker' | 'LeaderExcluded'
        readonly subGroupSize?: number
      }
      readonly volumeClaimTemplates?: readonly Claim[]
      readonly persistentVolumeClaimRetentionPolicy?: {
        readonly whenDeleted?: 'Retain' | 'Delete'
        readonly whenScaled?: 'Retain' | 'Delete'
      }
    }
    readonly rolloutStrategy?: {
      readonly type: 'RollingUpdate'
      readonly rollingUpdateConfiguration?: {
        readonly partition?: number
        readonly maxUnavailable?: number | string
        readonly maxSurge?: number | string
      }
    }
    readonly startupPolicy?: 'LeaderCreated' | 'LeaderReady'
    readonly networkConfig?: { readonly subdomainPolicy: 'Shared' | 'UniquePerReplica' }
  }
}

/** The lines of a module that fails to compile where a field is unknown, misspelt, of a wrong type or missing. */
export function literalOf(document: Yaml, name: string): readonly string[] {
  return [
    `import type { LeaderWorkerSet as Set_${name} } from '${import.meta.filename}'`,
    `import type { IPersistentVolumeClaim as Claim_${name}, IPodTemplateSpec as Pod_${name} } from 'kubernetes-models/v1'`,
    `import type { IDeployment as Deployment_${name} } from 'kubernetes-models/apps/v1'`,
    `type Metadata_${name} = NonNullable<Deployment_${name}['metadata']>`,
    `export const ${name}: Set_${name}<Metadata_${name}, Pod_${name}, Claim_${name}> = ${JSON.stringify(document, undefined, 1)}`,
  ]
}

/** What its numbers must be, and what they have to do with the arguments of the server. */
export function groupFaults(set: Yaml): readonly string[] {
  const group = ['spec', 'leaderWorkerTemplate'] as const
  const size = numberAt(set, ...group, 'size') ?? 1
  const replicas = numberAt(set, 'spec', 'replicas') ?? 1
  const faults: string[] = []
  if (!Number.isInteger(size) || size < 1) faults.push(`a group of ${size} pods: the leader counts`)
  if (!Number.isInteger(replicas) || replicas < 0) faults.push(`${replicas} replicas`)
  if (textAt(set, ...group, 'restartPolicy') !== 'RecreateGroupOnPodRestart')
    faults.push('half of a group answers nobody: RecreateGroupOnPodRestart')
  const update = ['spec', 'rolloutStrategy', 'rollingUpdateConfiguration'] as const
  if (!['', '0', '0%'].includes(textAt(set, ...update, 'maxSurge')))
    faults.push('a rollout waits for GPUs that are not there: maxSurge 0')
  else if (['0', '0%'].includes(textAt(set, ...update, 'maxUnavailable')))
    faults.push('maxUnavailable and maxSurge are both 0: no rollout')
  const subgroup = numberAt(set, ...group, 'subGroupPolicy', 'subGroupSize') ?? 1
  if (size % subgroup !== 0 && (size - 1) % subgroup !== 0) faults.push(`subgroups of ${subgroup} in a group of ${size}`)
  for (const template of ['leaderTemplate', 'workerTemplate']) {
    const container = [...group, template, 'spec', 'containers', 0] as const
    const words = [...listAt(set, ...container, 'command'), ...listAt(set, ...container, 'args')]
    const nodes = flagOf(words, '--nnodes')
    if (nodes !== undefined && Number(nodes) !== size) faults.push(`${template}: --nnodes ${nodes} in a group of ${size}`)
    const rank = flagOf(words, '--node-rank')
    if (nodes !== undefined && rank !== '$(LWS_WORKER_INDEX)')
      faults.push(`${template}: its rank is $(LWS_WORKER_INDEX), not ${rank}`)
  }
  return faults
}
