/** The sum of one series since the last flush. Whoever counts keeps it and adds to it. */
export type Sum = { value: number }

/** Adds up values and passes the sums on at collection time, because each call of an SDK counter takes up to a microsecond. */
export type Sums<Counter, Labels> = {
  /**
   * Returns the sum of a series. Finds it by two words, because joining them into one key takes longer than adding.
   *
   * @param detail the value of the label that the series of one counter differ in
   */
  find(name: string, detail: string): Sum | undefined
  /** Creates the sum of a series, which is passed on even if it stays 0. */
  begin(name: string, detail: string, to: readonly [counter: Counter, labels: Labels]): Sum
  flush(): void
}

type Kept<Counter, Labels> = Sum & { readonly counter: Counter; readonly labels: Labels; isNew: boolean }

export function createSums<Counter, Labels>(
  give: (counter: Counter, labels: Labels, value: number) => void,
): Sums<Counter, Labels> {
  const sums = new Map<string, Map<string, Kept<Counter, Labels>>>()
  return {
    find: (name, detail) => sums.get(name)?.get(detail),
    begin(name, detail, [counter, labels]) {
      const sum = { counter, labels, value: 0, isNew: true }
      const named = sums.get(name)
      if (named === undefined) sums.set(name, new Map([[detail, sum]]))
      else named.set(detail, sum)
      return sum
    },
    flush() {
      for (const named of sums.values())
        for (const sum of named.values()) {
          if (sum.value === 0 && !sum.isNew) continue
          give(sum.counter, sum.labels, sum.value)
          sum.value = 0
          sum.isNew = false
        }
    },
  }
}
