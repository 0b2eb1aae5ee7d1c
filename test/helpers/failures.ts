/** What a call was rejected with; undefined where it was not. */
export async function failureOf<Failure = unknown>(call: Promise<unknown>): Promise<Failure | undefined> {
  return call.then(
    () => undefined,
    (error: unknown) => error as Failure,
  )
}
