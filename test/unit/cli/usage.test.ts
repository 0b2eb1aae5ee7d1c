import { afterEach, expect, test, vi } from 'vitest'
import { ask } from '../../../src/cli/ask.ts'
import { UsageError } from '../../../src/cli/command.ts'
import { demo } from '../../../src/cli/demo.ts'
import { doctor } from '../../../src/cli/doctor.ts'
import { world } from './screen.ts'

afterEach(() => vi.unstubAllEnvs())

test.each([
  [ask, ['Hi', '--jsn'], "There is no option --jsn. Did you mean '--json'?"],
  [ask, ['Hi', '-x'], 'There is no option -x.'],
  [ask, ['Hi', '--chain'], '--chain'],
  [ask, ['Hi', '--chain', ','], '--chain names nobody'],
  [ask, ['Hi', '--chain', 'opnai'], "There is no service 'opnai'. Did you mean 'openai'?"],
  [ask, ['Hi', '--chain', 'openrouter'], 'openrouter needs a model: write --chain openrouter:MODEL.'],
  [ask, ['Hi', '--chain', 'azure:my-deployment'], 'azure has an address for each customer: set AZURE_BASE_URL.'],
  [ask, ['Hi', '--timeout', 'soon'], '--timeout wants seconds'],
  [ask, ['Hi', '--timeout', '-1'], '--timeout'],
  [ask, [' '], 'The question is empty'],
  [ask, [], 'What shall be asked?'],
  [demo, ['please'], 'demo takes no words'],
  [demo, ['--fast'], 'There is no option --fast.'],
  [doctor, ['please'], 'doctor takes no words'],
  [doctor, ['--jsno'], "Did you mean '--json'?"],
])('wrong usage %# is told with what to write', async (command, words, message) => {
  vi.stubEnv('AZURE_BASE_URL', undefined)
  const error: unknown = await command.run(words, world()).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(UsageError)
  expect(String(error)).toContain(message)
})
