import { openaiCompatible } from 'unbusy'
import { testProvider } from 'unbusy/testing'

// Runs the suite of every provider on a target of yours, against servers that misbehave in all the ways that were seen.
const report = await testProvider(({ baseURL, apiKey }) => openaiCompatible('any-model', { baseURL, apiKey }), {
  format: 'openai',
})
console.log(`${report.kept.length} promises kept`)
for (const { promise, reason } of report.skipped) console.log(`skipped ${promise}: ${reason}`)
//=> … promises kept
