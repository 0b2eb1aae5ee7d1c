import { createClient, type Provider, ProviderError } from 'unbusy'

const echo: Provider = {
  name: 'echo',
  async stream(call, { emit }) {
    const text = call.messages.at(-1)?.content
    if (typeof text !== 'string') throw new ProviderError('An echo needs a text.', { reason: 'invalid-request' })
    emit({ type: 'text-delta', text })
    emit({ type: 'finish', finishReason: 'stop' })
  },
}

await using client = createClient({ chain: [{ provider: echo, model: 'echo-1' }] })
console.log((await client.generate('Hello.')).text)
//=> Hello.
