// #region quickstart
import { createClient, deepseek, llama, openai } from 'unbusy'

const client = createClient({
  chain: [deepseek(), openai(), llama()], // keys: DEEPSEEK_API_KEY, OPENAI_API_KEY; llama-server: 127.0.0.1:8080
  defaultResponse: 'We are busy. Please try again in a minute.',
})

const { text, provider } = await client.generate('Why is the sky blue?')
console.log(`${provider}: ${text}`)

await client.close()
// #endregion
//=> …: …
