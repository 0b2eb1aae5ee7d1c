import { AsyncResource } from 'node:async_hooks'
import type { EventListener } from './contract-events.ts'
import type { AnswerForm } from './output/answer-form.ts'

type OfUser = { readonly tell: EventListener | undefined; readonly form: AnswerForm | undefined }

/**
 * Binds the user's functions that run during a call to the async context in which the call began, so that `AsyncLocalStorage` returns the
 * same store there. A shared socket runs its callbacks in the context of the call that opened it, and an abort runs in the context of its
 * caller: a function called from there would see another call's store. All other functions of the user run after promises, which keep
 * their context.
 *
 * Creating a binding and using it cost thirty nanoseconds each (`AsyncLocalStorage.snapshot()` costs six thousand). A call without such
 * functions costs nothing.
 */
export function inOwnContext({ tell, form }: OfUser): OfUser {
  if (tell === undefined && form === undefined) return { tell, form }
  // no code waits for its destroy hook: without this option each call would have one more finalizer
  const context = new AsyncResource('UnbusyCall', { requireManualDestroy: true })
  return {
    tell: tell === undefined ? undefined : event => context.runInAsyncScope(tell, undefined, event),
    form: form === undefined ? undefined : boundForm(context, form),
  }
}

function boundForm(context: AsyncResource, { output, tools, warnings }: AnswerForm): AnswerForm {
  return {
    warnings,
    output: output === undefined ? undefined : boundOutput(context, output),
    tools: tools === undefined ? undefined : { ...tools, check: bound(context, tools.check) },
  }
}

function boundOutput(context: AsyncResource, output: NonNullable<AnswerForm['output']>): AnswerForm['output'] {
  const { read, check, checkElement } = output
  return {
    ...output,
    read: bound(context, read),
    check: bound(context, check),
    checkElement: checkElement === undefined ? undefined : bound(context, checkElement),
  }
}

function bound<Values extends unknown[], Result>(
  context: AsyncResource,
  run: (...values: Values) => Result,
): (...values: Values) => Result {
  return (...values) => context.runInAsyncScope(run, undefined, ...values)
}
