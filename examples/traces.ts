import { createClient } from 'unbusy'
import { openTelemetry } from 'unbusy/opentelemetry'
import { fakeTarget } from 'unbusy/testing'

await using client = createClient({ chain: [fakeTarget('Hello.')], telemetry: [openTelemetry()] })
const { text } = await client.generate('Hi.')
console.log(text) // with an SDK in the application: two spans, and metrics
//=> Hello.
