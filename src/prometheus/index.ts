import '../require-node.ts'

export { prometheus, type PrometheusOptions, type PrometheusRegistry } from './prometheus.ts'
