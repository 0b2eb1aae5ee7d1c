import { describe, expect, test } from 'vitest'
import { faultsOf } from '../helpers/deploy/faults-of.ts'
import { deploy, textOf } from '../helpers/deploy/read.ts'

const surge = '\n  rolloutStrategy: { type: RollingUpdate, rollingUpdateConfiguration: { maxSurge: 1 } }'

describe.skipIf(deploy.isMissing)(`a LeaderWorkerSet${deploy.suffix}`, () => {
  const twoNodes = textOf('vllm/two-nodes.yaml')

  test.each<readonly [string, RegExp, string, RegExp]>([
    ['a key that LeaderWorkerSet does not have', /size: 2/, 'size: 2\n    pods: 2', /pods/],
    ['a misspelt policy', /restartPolicy: \w+/, 'restartPolicy: RecreateGroup', /RecreateGroup/],
    ['another restart policy', /restartPolicy: \w+/, 'restartPolicy: None', /half of a group/],
    ['a key in the wrong place', /replicas: 1/, 'replicas: 1\n  size: 2', /size/],
    ['a network as a word', /replicas: 1/, 'replicas: 1\n  networkConfig: Shared', /networkConfig|Shared/],
    [
      'a misspelt key of the network',
      /replicas: 1/,
      'replicas: 1\n  networkConfig: { subDomainPolicy: Shared }',
      /subDomainPolicy/,
    ],
    ['a size as a word', /size: 2/, 'size: two', /number/],
    ['no worker', /workerTemplate:/, 'workersTemplate:', /workersTemplate/],
    ['a misspelt key of a pod', /(role: leader\n +spec:\n +)termination/, '$1terminate', /terminateGracePeriodSeconds/],
    ['an old version', /leaderworkerset.x-k8s.io\/v1/, 'leaderworkerset.x-k8s.io/v1alpha1', /v1alpha1/],
    ['a group that is smaller than its nodes', /size: 2/, 'size: 1', /--nnodes 2 in a group of 1/],
    ['a rank of its own', /--node-rank=\S+/, '--node-rank=0', /LWS_WORKER_INDEX/],
    ['a group beside the old one', /replicas: 1/, `replicas: 1${surge}`, /rollout waits/],
  ])('%s is caught', async (_, pattern, instead, fault) => {
    const wrong = twoNodes.replace(pattern, instead)
    expect(wrong).not.toBe(twoNodes)
    expect((await faultsOf(wrong)).join('\n')).toMatch(fault)
  })
})
