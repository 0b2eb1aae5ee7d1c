import '../require-node.ts'

export { compareWays, type ComparedApi, type ComparedSet, type CompareOptions, type Comparison } from './compare.ts'
export { type Gpu, gpus } from './gpus.ts'
export { type Model, models } from './models.ts'
export { type BreakEven, type DeploymentSize, sizeDeployment, type SizingOptions } from './size-deployment.ts'
