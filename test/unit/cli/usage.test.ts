import { afterEach, expect, test, vi } from 'vitest'
import { ask } from '../../../src/cli/ask.ts'
import { UsageError } from '../../../src/cli/command.ts'
import { demo } from '../../../src/cli/demo.ts'
import { doctor } from '../../../src/cli/doctor.ts'
import { world } from '../../helpers/screen.ts'

afterEach(() => vi.unstubAllEnvs())

test.each([
  [ask, ['Hi', '--jsn'], "There is no option --jsn. Did you mean '--json'?"],
  [ask, ['Hi', '-x'], 'There is no option -x.'],
  [ask, ['Hi', '--chain'], '--chain'],
  [ask, ['Hi', '--chain', ','], '--chain is empty'],
  [ask, ['Hi', '--chain', 'opnai'], "There is no service 'opnai'. Did you mean 'openai'?"],
  [ask, ['Hi', '--chain', 'openrouter'], 'openrouter needs a model. Write --chain openrouter:MODEL.'],
  [ask, ['Hi', '--chain', 'azure:my-deployment'], 'azure has a different address for each customer. Set AZURE_BASE_URL.'],
  [ask, ['Hi', '--timeout', 'soon'], '--timeout must be a number of seconds'],
  [ask, ['Hi', '--timeout', '-1'], '--timeout'],
  [ask, [' '], 'The question is empty'],
  [ask, [], 'The question is missing'],
  [demo, ['please'], 'demo takes no arguments'],
  [demo, ['--fast'], 'There is no option --fast.'],
  [doctor, ['please'], 'doctor takes no arguments'],
  [doctor, ['--jsno'], "Did you mean '--json'?"],
])('wrong usage %# is told with what to write', async (command, words, message) => {
  vi.stubEnv('AZURE_BASE_URL', undefined)
  const error: unknown = await command.run(words, world()).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(UsageError)
  expect(String(error)).toContain(message)
})
