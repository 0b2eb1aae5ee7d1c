// #region metrics
import { createServer } from 'node:http'
import { register } from 'prom-client'
import { createClient, deepseek, llama } from 'unbusy'
import { prometheus } from 'unbusy/prometheus'
import { statusHandler } from 'unbusy/status'

const client = createClient({
  chain: [deepseek(), llama()],
  telemetry: [prometheus()],
  defaultResponse: 'Ask me later.',
})

const status = statusHandler(client)
const server = createServer((request, response) => {
  if (request.url === '/status') return status(request, response)
  response.setHeader('content-type', register.contentType)
  void register.metrics().then(text => response.end(text))
})
server.listen(Number(process.env['PORT'] ?? 9464))
// #endregion

// nobody answers: there is no key, and no llama on this machine
await client.generate('Hi.')
for (const line of (await register.metrics()).split('\n')) if (line.startsWith('unbusy_calls_total')) console.log(line)
await client.close()
server.close()
//=> unbusy_calls_total{client="",outcome="answered"} 0
//=> unbusy_calls_total{client="",outcome="degraded"} 1
