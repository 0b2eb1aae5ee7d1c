import { returnedText } from '../check.ts'
import type { Call, Message } from '../contract.ts'
import { hasTools } from './chat-completions/dialect.ts'
import { prefixOf } from './chat-request/history.ts'
import { stateFields } from './service-state.ts'

type Fields = Readonly<Record<string, unknown>>

/** The body of `/api/chat`. */
export function chatBody(call: Call): Fields {
  const tools = hasTools(call) && call.toolChoice !== 'none' ? Object.entries(call.tools ?? {}) : []
  return {
    model: call.model,
    messages: call.messages.map((message, index) => wireMessage(message, call.messages.slice(0, index))),
    ...(tools.length === 0
      ? undefined
      : {
          tools: tools.map(([name, { description = '', inputSchema }]) => ({
            type: 'function',
            function: { name, description, parameters: inputSchema },
          })),
        }),
    ...thinking(call),
    ...settings(call),
  }
}

/**
 * The body of `/api/generate` that continues the prefix. The prompt is already in the model's template, so `raw` adds nothing.
 */
export function rawBody(call: Call, toRawPrompt: (messages: readonly Message[]) => string): Fields {
  const last = call.messages.at(-1)
  const turns = last?.role === 'assistant' && last.prefix === true ? call.messages.slice(0, -1) : call.messages
  return {
    model: call.model,
    raw: true,
    prompt: returnedText(toRawPrompt(turns), 'ollama: toRawPrompt') + (prefixOf(call)?.text ?? ''),
    ...settings(call),
  }
}

/** `think` takes a level for models that have levels, and is only a switch for the others. */
function thinking({ reasoning }: Call): Fields {
  if (reasoning === undefined) return {}
  return { think: reasoning === 'off' ? false : reasoning }
}

function settings(call: Call): Fields {
  const { temperature, topP, maxOutputTokens, stopSequences, seed, output } = call
  const options = {
    ...(maxOutputTokens === undefined ? undefined : { num_predict: maxOutputTokens }),
    ...(temperature === undefined ? undefined : { temperature }),
    ...(topP === undefined ? undefined : { top_p: topP }),
    ...(stopSequences === undefined || stopSequences.length === 0 ? undefined : { stop: stopSequences }),
    ...(seed === undefined ? undefined : { seed }),
  }
  return {
    ...(output === undefined ? undefined : { format: output.schema ?? 'json' }),
    ...(Object.keys(options).length === 0 ? undefined : { options }),
  }
}

function wireMessage(message: Message, earlier: readonly Message[]): Fields {
  if (message.role === 'user') return userMessage(message)
  if (message.role === 'assistant') return assistantMessage(message)
  // Ollama's format has no call ids: a result is matched by the tool's name
  if (message.role === 'tool') {
    return { role: 'tool', tool_name: message.toolName ?? nameOf(message.toolCallId, earlier), content: message.content }
  }
  return { role: 'system', content: message.content }
}

function assistantMessage(message: Extract<Message, { role: 'assistant' }>): Fields {
  const { content, reasoningText = '', toolCalls = [], providerMetadata } = message
  const calls = toolCalls.map(call => ({
    function: { name: call.toolName, arguments: call.input ?? {} },
    ...stateFields(call.providerMetadata, 'call'),
  }))
  return {
    role: 'assistant',
    content,
    ...(reasoningText === '' ? undefined : { thinking: reasoningText }),
    ...(calls.length === 0 ? undefined : { tool_calls: calls }),
    ...stateFields(providerMetadata, 'turn'),
  }
}

function userMessage({ content }: Extract<Message, { role: 'user' }>): Fields {
  if (typeof content === 'string') return { role: 'user', content }
  const words = content.flatMap(part => (part.type === 'text' ? part.text : []))
  const images = content.flatMap(part => (part.type === 'image' ? part.image.slice(part.image.indexOf(',') + 1) : []))
  return { role: 'user', content: words.join('\n'), ...(images.length === 0 ? undefined : { images }) }
}

function nameOf(toolCallId: string, earlier: readonly Message[]): string {
  const calls = earlier.flatMap(message => (message.role === 'assistant' ? (message.toolCalls ?? []) : []))
  return calls.find(call => call.toolCallId === toolCallId)?.toolName ?? toolCallId
}
