import type { Broken } from './answer/continuation.ts'
import { inOwnContext } from './call-context.ts'
import type { ClientState, PreparedCall } from './call-state.ts'
import { createSignal } from './chain/signal.ts'
import { isPlain } from './check.ts'
import { checkInput } from './check-input.ts'
import type { Call, Message } from './contract.ts'
import { checkTargetNames } from './call-targets.ts'
import { type GenerateInput, merge } from './options.ts'
import { type AnswerForm, answerForm, loadForm } from './output/answer-form.ts'
import { createRepairs } from './output/repairs.ts'

/**
 * Copies the input, because the application may change its conversation during the call: a chat page pushes a placeholder for the answer
 * into the same list (F81). Lists and turns are copied, deeper values are not. The input has not been checked yet.
 */
export function copyInput(input: string | GenerateInput): string | GenerateInput {
  if (typeof input === 'string' || !isPlain(input)) return input
  const { messages, stopSequences, tools, extraBody } = input
  const copy: { -readonly [Name in keyof GenerateInput]: GenerateInput[Name] } = { ...input }
  if (Array.isArray(messages)) copy.messages = messages.map(copyRecord) as Message[]
  if (Array.isArray(stopSequences)) copy.stopSequences = stopSequences.slice() as string[]
  if (isPlain(tools)) copy.tools = { ...tools }
  if (isPlain(extraBody)) copy.extraBody = { ...extraBody }
  return copy
}

function copyRecord<Value>(value: Value): Value {
  return isPlain(value) ? { ...value } : value
}

/** Loads what the schemas of this input need before `prepareCall()`; returns undefined if nothing is missing. */
export function loadSchemas(input: string | GenerateInput): Promise<void> | undefined {
  return typeof input === 'string' ? undefined : loadForm(input)
}

/**
 * Checks the input and fills in every default, before anything is sent. Schemas and listeners cost nothing in the many calls without
 * them.
 *
 * @throws {TypeError} The input is invalid.
 */
export function prepareCall(client: ClientState, input: string | GenerateInput, from?: Broken): PreparedCall {
  if (typeof input !== 'string' || input.trim() === '') checkInput(input)
  if (client.closed !== undefined) throw client.closed
  const given = typeof input === 'string' ? { prompt: input } : input
  if (given.targets !== undefined) checkTargetNames(client.targets, given.targets)
  const { form, tell } = ownOf(client, given)
  const call = resolveCall(given, form)
  const { limits } = client
  const settings = settingsOf(client, given, from)
  const limit = given.repair ?? client.options.repair ?? 0
  return {
    callId: ++client.calls,
    startedAt: client.clock.now(),
    given,
    call,
    limits: given.timeout === undefined ? limits : merge(limits, given.timeout),
    settings,
    continuation: {
      options: {
        ...settings,
        maxOutputTokens: call.maxOutputTokens,
        isPlainText: call.tools === undefined && call.output === undefined,
      },
      lengthsLeft: settings.continueOnLength,
      isLength: false,
      asked: undefined,
    },
    form,
    repairs: limit === 0 ? undefined : createRepairs({ limit, messages: call.messages }),
    signal: createSignal(),
    tell,
  }
}

/** Returns the caller's schemas and listeners, bound to the async context of the call. */
function ownOf({ teller }: ClientState, { output, tools }: GenerateInput): Pick<PreparedCall, 'form' | 'tell'> {
  const tell = teller()
  const form = output === undefined && tools === undefined ? undefined : answerForm({ output, tools })
  return tell === undefined && form === undefined ? { form, tell } : inOwnContext({ tell, form })
}

/** Returns the continuation settings: a call's own override the client's. */
function settingsOf({ continuation }: ClientState, given: GenerateInput, from: Broken | undefined): PreparedCall['settings'] {
  return {
    // `resume()` always continues, whatever the call's own setting
    afterFirstToken: from === undefined ? (given.afterFirstToken ?? continuation.afterFirstToken) : 'continue',
    holdBackMs: given.holdBackMs ?? continuation.holdBackMs,
    holdBackChars: given.holdBackChars ?? continuation.holdBackChars,
    continueOnLength: given.continueOnLength ?? continuation.continueOnLength,
  }
}

/** Returns the call for all targets; the model of each is filled in later. */
export function resolveCall(input: GenerateInput, form?: AnswerForm): Call {
  const { prompt, messages = [{ role: 'user', content: prompt ?? '' }], system, metadata = nothing } = input
  const { toolChoice, temperature, topP, maxOutputTokens, stopSequences, seed, reasoning, tag, extraBody } = input
  return {
    model: '',
    messages: system === undefined ? messages : [{ role: 'system', content: system }, ...messages],
    ...{ tools: form?.tools?.tools, output: form?.output?.format },
    ...{ toolChoice, temperature, topP, maxOutputTokens, stopSequences, seed, reasoning, metadata, tag, extraBody },
  }
}

const nothing: Call['metadata'] = Object.freeze({})
