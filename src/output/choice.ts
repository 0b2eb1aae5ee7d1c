import type { Form } from './form.ts'

/** One of several words, for a classification. */
export type Choice<Word extends string> = Form<Word>

/**
 * The model must answer one of these words.
 *
 * @example
 * const { output } = await client.generate({ prompt, output: choice(['positive', 'negative']) })
 */
export function choice<const Word extends string>(words: readonly Word[]): Choice<Word> {
  if (!Array.isArray(words) || words.length === 0 || !words.every(word => typeof word === 'string' && word !== '')) {
    throw new TypeError("choice: give a list of words, for example choice(['positive', 'negative']).")
  }
  const isWord = (value: unknown): value is Word => words.some(word => word === value)
  return {
    '~standard': {
      version: 1,
      vendor: 'unbusy',
      validate: value => (isWord(value) ? { value } : { issues: [{ message: `Expected one of ${words.join(', ')}.` }] }),
    },
    '~form': { field: 'choice', jsonSchema: () => ({ type: 'string', enum: words }), words },
  }
}
