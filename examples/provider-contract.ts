import { openaiCompatible } from 'unbusy'
import { testProvider } from 'unbusy/testing'

// Runs the suite that every provider must pass on your own target, against servers that misbehave.
const report = await testProvider(({ baseURL, apiKey }) => openaiCompatible('any-model', { baseURL, apiKey }), {
  format: 'openai',
})
console.log(`${report.kept.length} promises kept`)
for (const { promise, reason } of report.skipped) console.log(`skipped ${promise}: ${reason}`)
//=> … promises kept
