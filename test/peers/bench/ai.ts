import { createDeepSeek } from '@ai-sdk/deepseek'
import { generateText, streamText } from 'ai'
import { model, prompt } from '../../bench/clients/client.ts'
import type { BenchClient } from '../../bench/clients/client.ts'

type LanguageModel = ReturnType<ReturnType<typeof createDeepSeek>>

const modelFor = (baseURL: string): LanguageModel => createDeepSeek({ baseURL, apiKey: 'x' })(model)

const send = async (languageModel: LanguageModel): Promise<string> => {
  const { text } = await generateText({ model: languageModel, prompt, maxRetries: 0 })
  return text
}

const readStream = async (languageModel: LanguageModel, onFirst?: () => void): Promise<string> => {
  let text = ''
  for await (const content of streamText({ model: languageModel, prompt, maxRetries: 0 }).textStream) {
    if (content !== '' && text === '') onFirst?.()
    text += content
  }
  return text
}

export const ai: BenchClient = {
  name: 'ai',
  call(baseURL) {
    const languageModel = modelFor(baseURL)
    return () => send(languageModel)
  },
  stream(baseURL) {
    const languageModel = modelFor(baseURL)
    return (onFirst) => readStream(languageModel, onFirst)
  },
  fallback(busyURL, baseURL) {
    const busy = modelFor(busyURL)
    const languageModel = modelFor(baseURL)
    return () => send(busy).catch(() => send(languageModel))
  },
}
