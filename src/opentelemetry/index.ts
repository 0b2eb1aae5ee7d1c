import '../require-node.ts'

export { type AnyMeterProvider, type AnyTracerProvider, openTelemetry, type OpenTelemetryOptions } from './open-telemetry.ts'
