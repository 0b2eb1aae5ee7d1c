import { createClient, textGeneration } from 'unbusy'
import { answer, json, startServer } from 'unbusy/testing'

// The plain server: POST /generate with { prompt } answers { response }.
await using plain = await startServer(answer('Hello.'), { format: 'text-generation' })
await using one = createClient({ chain: [textGeneration({ baseURL: plain.baseURL })] })
console.log((await one.generate('Say hello.')).text)
console.log(plain.requests[0]?.json)

// Another path and other names, and the prompt in the query.
await using other = await startServer(json({ data: 'Good day.' }))
const target = textGeneration({ baseURL: other.url, path: '/ask', promptIn: 'query', promptField: 'q', responseField: 'data' })
await using two = createClient({ chain: [target] })
console.log((await two.generate('Say hello.')).text)
console.log(other.requests[0]?.method, other.requests[0]?.path)
//=> Hello.
//=> { prompt: 'Say hello.' }
//=> Good day.
//=> POST /ask?q=Say+hello.
