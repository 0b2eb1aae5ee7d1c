import type { TelemetryPart } from '../../index.ts'
import { loadPackage } from '../../telemetry/optional-package.ts'
import { prometheus, type PrometheusRegistry } from '../../prometheus/prometheus.ts'

/** The metrics of one gateway, in its own registry. */
export type Metrics = {
  readonly contentType: string
  text(): Promise<string>
  /** Returns the telemetry part for the client of a route. */
  partFor(route: string): TelemetryPart
}

type Registry = PrometheusRegistry & { readonly contentType: string }

/** The package that must be installed to get metrics. */
export const metricsPackage = 'prom-client'

/** Returns undefined if prom-client is not installed: the gateway works without it. */
export function createMetrics(): Metrics | undefined {
  const Registry = registryOf()
  if (Registry === undefined) return undefined
  const register = new Registry()
  return {
    contentType: register.contentType,
    text: () => register.metrics(),
    partFor: client => prometheus({ register, client }),
  }
}

function registryOf(): (new () => Registry) | undefined {
  try {
    return (loadPackage(metricsPackage, '/metrics') as { readonly Registry: new () => Registry }).Registry
  } catch {
    return undefined
  }
}
