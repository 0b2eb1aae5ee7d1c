import { AsyncResource } from 'node:async_hooks'
import type { EventListener } from './contract.ts'
import type { AnswerForm } from './output/answer-form.ts'

type OfUser = { readonly tell: EventListener | undefined; readonly form?: AnswerForm | undefined }

/**
 * What of the user's runs while a call lasts, each bound to the async context in which the call began: what `AsyncLocalStorage` returns
 * there. A shared socket runs its callbacks in the context of the call that opened it, an abort in that of whoever aborts, so a function
 * that is reached from there would see another call's. Everything else that is the user's is reached by promises, which keep their context.
 *
 * It costs thirty nanoseconds to make and as many to use (`AsyncLocalStorage.snapshot()` costs six thousand), and nothing where there is
 * nothing to run.
 */
export function inOwnContext({ tell, form }: OfUser): OfUser {
  if (tell === undefined && form === undefined) return { tell, form }
  // nobody waits for its end: without this, one more finalizer for each call
  const context = new AsyncResource('UnbusyCall', { requireManualDestroy: true })
  return {
    tell: tell === undefined ? undefined : bound(context, tell),
    form: form === undefined ? undefined : boundForm(context, form),
  }
}

function boundForm(context: AsyncResource, { output, tools }: AnswerForm): AnswerForm {
  return {
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
