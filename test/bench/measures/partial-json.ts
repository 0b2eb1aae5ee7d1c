import { createPartialJson } from '../../../src/output/partial-json.ts'
import { figures, interleave } from '../bench.ts'
import type { Figure, Measure, Subject } from '../bench.ts'

const recordOf = (id: number): unknown => ({
  id,
  title: `Recipe number ${id}`,
  tags: ['baked', 'for "guests"', 'gluten-free'],
  minutes: id * 1.25,
  vegetarian: id % 2 === 0,
  source: null,
  text: 'Heat the oven, stir the sauce, and put the plates on the table. '.repeat(6),
})

/** Both about 1 MB. */
const texts = {
  records: JSON.stringify({ recipes: Array.from({ length: 1_900 }, (_, id) => recordOf(id)) }),
  'one long text': JSON.stringify({ story: 'Once upon a time there was a table.\n'.repeat(28_000) }),
}

/** A piece is what one delta brings: a token, or many where a gateway or a fast server puts them together. */
const cases = [
  { text: 'records', characters: 1_024 },
  { text: 'one long text', characters: 1_024 },
  { text: 'records', characters: 4 },
  { text: 'one long text', characters: 4 },
] as const

/** Copies, because the deltas of a real stream are no windows into one big string. */
const split = (text: string, characters: number): readonly string[] =>
  Array.from({ length: Math.ceil(text.length / characters) }, (_, index) =>
    Buffer.from(text.slice(index * characters, (index + 1) * characters)).toString(),
  )

const parsePieces = (pieces: readonly string[]): unknown => {
  const json = createPartialJson()
  for (const piece of pieces) json.feed(piece)
  if (!json.end()) throw new Error('The text was not read to its end.')
  return json.value()
}

const timeOf = async (work: () => unknown, forMs: number): Promise<number> => {
  let runs = 0
  const before = performance.now()
  while (performance.now() - before < forMs || runs === 0) {
    work()
    runs += 1
  }
  return ((performance.now() - before) * 1_000) / runs
}

/** The compiler has done its work after so many samples. */
const warmRuns = 20

/** What it costs to follow 1 MB of JSON piece by piece, beside one `JSON.parse` of the whole. */
export const partialJson: Measure = async ({ effort }) => {
  const found: Figure[] = []
  for (const { text: name, characters } of cases) {
    const text = texts[name]
    const pieces = split(text, characters)
    const subjects: readonly Subject[] = [
      { name: 'JSON.parse, once', client: 'undici', sample: () => timeOf(() => JSON.parse(text), effort.sampleMs / 4) },
      { name: 'unbusy, as it comes', client: 'unbusy', sample: () => timeOf(() => parsePieces(pieces), effort.sampleMs / 4) },
    ]
    for (const { sample } of subjects) for (let run = 0; run < warmRuns; run += 1) await sample()
    const samples = await interleave(subjects, effort.rounds)
    const about = { measure: 'partial-json', case: `${name}, ${characters} a piece`, unit: 'us' } as const
    found.push(...figures(samples, 'JSON.parse, once', about))
  }
  return found
}
