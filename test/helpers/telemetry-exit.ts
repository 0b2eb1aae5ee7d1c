/** Exits in the middle of calls, and prints how many spans have begun and how many have ended by then. */
import { createRequire } from 'node:module'
import { createClient } from 'unbusy'
import { openTelemetry, type OpenTelemetryOptions } from 'unbusy/opentelemetry'
import { fakeTarget } from 'unbusy/testing'

type Sdk = { readonly TracerProvider: new (options: object) => NonNullable<OpenTelemetryOptions['tracerProvider']> }

const folder = process.argv[2] ?? ''
const { TracerProvider } = createRequire(`${folder}/package.json`)('@opentelemetry/sdk-trace') as Sdk
let started = 0
let ended = 0
const processor = {
  onStart: () => void (started += 1),
  onEnd: () => void (ended += 1),
  forceFlush: async () => {},
  shutdown: async () => {},
}
const telemetry = [openTelemetry({ tracerProvider: new TracerProvider({ spanProcessors: [processor] }) })]
for (let each = 0; each < 12; each += 1) {
  const client = createClient({ chain: [fakeTarget({ hang: true })], telemetry })
  client.generate('Hi').catch(() => {})
}
setTimeout(() => {
  process.on('exit', () => console.log(JSON.stringify({ started, ended })))
  process.exit(0)
}, 50)
