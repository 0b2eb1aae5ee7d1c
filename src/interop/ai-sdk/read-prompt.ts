import type { ImagePart, Message, ProviderMetadata, TextPart, ToolCall } from '../../index.ts'
import type { Prompt } from './types.ts'

type Turn = Prompt[number]
type PartOf<Role extends Turn['role']> = Exclude<(Turn & { readonly role: Role })['content'], string>[number]
type FilePart = Extract<PartOf<'user'>, { readonly type: 'file' }>
type ResultPart = Extract<PartOf<'tool'>, { readonly type: 'tool-result' }>

/** Converts a conversation of the AI SDK to our own format. @throws {TypeError} It contains something that would be lost. */
export function readPrompt(prompt: Prompt): readonly Message[] {
  return prompt.flatMap((turn, index) => readTurn(turn, `prompt[${index}]`))
}

function readTurn(turn: Turn, at: string): readonly Message[] {
  switch (turn.role) {
    case 'system':
      return [{ role: 'system', content: turn.content }]
    case 'user':
      return [{ role: 'user', content: readContent(turn.content, at) }]
    case 'assistant':
      return [readAnswer(turn.content, at)]
    default:
      // an approval means nothing to a model: the tool has run, or its result says that it was denied
      return turn.content.flatMap(part => (part.type === 'tool-result' ? [readResult(part, at)] : []))
  }
}

function readContent(content: readonly PartOf<'user'>[], at: string): string | readonly (TextPart | ImagePart)[] {
  const parts = content.map((part, index) =>
    part.type === 'text' ? textPart(part.text) : readFile(part, `${at}.content[${index}]`),
  )
  if (!parts.every(part => part.type === 'text')) return parts
  // a file is a document of its own, and not the rest of the sentence before it
  return parts.map(({ text }) => text).join(content.some(({ type }) => type === 'file') ? '\n\n' : '')
}

function textPart(text: string): TextPart {
  return { type: 'text', text }
}

function readFile({ data, mediaType }: FilePart, at: string): TextPart | ImagePart {
  if (data.type === 'text') return textPart(data.text)
  if (data.type === 'data' && mediaType.startsWith('text/')) return textPart(textIn(data.data))
  const isImage = mediaType === 'image' || mediaType.startsWith('image/')
  if (!isImage) throw lost(at, `a file of the type ${mediaType.slice(0, 80)}`, 'Send images or text instead')
  if (data.type === 'reference') throw lost(at, 'a file that is stored at one service', 'Write its bytes or its URL')
  if (data.type === 'url') return { type: 'image', image: data.originalUrl ?? data.url.href }
  const bytes = typeof data.data === 'string' ? Buffer.from(data.data, 'base64') : data.data
  const type = /^image\/[\w.+-]+$/.test(mediaType) ? mediaType : imageTypeOf(bytes)
  const base64 = typeof data.data === 'string' ? data.data : Buffer.from(data.data).toString('base64')
  return { type: 'image', image: `data:${type};base64,${base64}` }
}

function textIn(data: string | Uint8Array): string {
  return new TextDecoder().decode(typeof data === 'string' ? Buffer.from(data, 'base64') : data)
}

/** Detects the image type from the first bytes, because the AI SDK may not know it. */
function imageTypeOf([first, second, ...rest]: Uint8Array): string {
  if (first === 0xff && second === 0xd8) return 'image/jpeg'
  if (first === 0x47 && second === 0x49) return 'image/gif'
  const isWebp = first === 0x52 && second === 0x49 && rest[6] === 0x57
  return isWebp ? 'image/webp' : 'image/png'
}

function lost(at: string, what: string, cure: string): TypeError {
  return new TypeError(`unbusy: ${at} contains ${what}, which cannot be sent. ${cure}.`)
}

function readAnswer(parts: readonly PartOf<'assistant'>[], at: string): Message {
  let [text, reasoningText] = ['', '']
  let state: ProviderMetadata | undefined
  const toolCalls: ToolCall[] = []
  for (const [index, part] of parts.entries()) {
    const place = `${at}.content[${index}]`
    switch (part.type) {
      case 'text':
        text += part.text
        break
      case 'reasoning':
        reasoningText += part.text
        break
      case 'tool-call': {
        // a tool that the service ran itself has no result that we could send
        if (part.providerExecuted === true)
          throw lost(place, 'a tool call that a service executed itself', 'Leave it out of the messages')
        const { toolCallId, toolName, input } = part
        toolCalls.push({ toolCallId, toolName, input, providerMetadata: keptIn(part)?.call })
        break
      }
      case 'custom':
        // only its own service knows what it means. Each answer of the package for Anthropic begins with one
        break
      default:
        throw lost(place, `a part of the type '${part.type}'`, 'Leave it out of the messages')
    }
    state ??= keptIn(part)?.message
  }
  return {
    role: 'assistant',
    content: text,
    ...(reasoningText === '' ? undefined : { reasoningText }),
    ...(toolCalls.length === 0 ? undefined : { toolCalls }),
    providerMetadata: state,
  }
}

type Kept = { readonly call?: ProviderMetadata | undefined; readonly message?: ProviderMetadata | undefined }

/** Reads our own `providerMetadata.unbusy`, which comes back in `providerOptions`. */
function keptIn({ providerOptions }: { readonly providerOptions?: { readonly unbusy?: Kept } | undefined }): Kept | undefined {
  return providerOptions?.unbusy
}

/** The counterpart of `keptIn` for output: JSON under our name. */
export function keptOf(kept: Kept): { readonly unbusy: Kept } | undefined {
  return kept.call === undefined && kept.message === undefined ? undefined : { unbusy: kept }
}

export function callState(call: ToolCall): { readonly unbusy: Kept } | undefined {
  return keptOf({ call: call.providerMetadata })
}

function readResult({ toolCallId, toolName, output }: ResultPart, at: string): Message {
  return { role: 'tool', toolCallId, toolName, content: resultText(output, `${at}, the result of ${toolName}`) }
}

function resultText(output: ResultPart['output'], at: string): string {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value
    case 'json':
    case 'error-json':
      return JSON.stringify(output.value)
    case 'execution-denied':
      return output.reason ?? 'The user did not allow this tool to run.'
    default:
      return output.value.map(part => (part.type === 'text' ? part.text : otherPart(part, at))).join('')
  }
}

function otherPart(part: { readonly type: string }, at: string): string {
  const { data } = part as { readonly data?: { readonly type: string; readonly text?: string } }
  if (data?.type === 'text' && data.text !== undefined) return data.text
  throw lost(at, `a part of the type '${part.type}'`, 'Write the result of the tool as text')
}
