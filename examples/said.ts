import { ChainExhaustedError, createClient, deepseek } from 'unbusy'
import { startServer, status } from 'unbusy/testing'

await using strict = await startServer(
  status(400, { error: { message: 'Cannot read "The prompt.": too short', param: 'messages' } }),
)
await using client = createClient({ chain: [deepseek({ baseURL: strict.baseURL, apiKey: 'test' })] })

await client.generate('The prompt.').catch((error: unknown) => {
  if (!ChainExhaustedError.isInstance(error)) throw error
  for (const { message, said } of error.failures) {
    console.log(message) // fit for a log
    console.log(said) // may quote the prompt: for a person, never for a log
  }
})
//=> The server refused the request as invalid (400, parameter messages). Correct the setting that `said` of the error names, or let the next target answer.
//=> Cannot read "The prompt.": too short (param: messages)
