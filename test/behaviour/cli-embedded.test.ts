import { expect, test } from 'vitest'
import { runCli } from '../helpers/run-cli.ts'

test.each([
  [['ask', 'Hi', '--embedded', 'nowhere.gguf'], {}, /--embedded: there is no file at nowhere\.gguf/],
  [['demo', '--embedded', 'nowhere.gguf'], {}, /--embedded: there is no file at nowhere\.gguf/],
  [['ask', 'Hi', '--embedded', import.meta.dirname], {}, /--embedded: there is no file at /],
  [['ask', 'Hi'], { UNBUSY_EMBEDDED: 'nowhere.gguf' }, /UNBUSY_EMBEDDED: there is no file/],
  [['ask', 'Hi', '--embedded', ''], {}, /--embedded must be a GGUF file/],
  [['ask', 'Hi', '--embedded', import.meta.filename], {}, /Install it beside unbusy: npm install node-llama-cpp@3$/m],
  [['demo', '--embedded', import.meta.filename], {}, /Install it beside unbusy: npm install node-llama-cpp@3$/m],
])('%s is told what is missing', async (words, environment, message) => {
  const end = await runCli(words, environment)
  expect(end).toMatchObject({ code: 2, stdout: '' })
  expect(end.stderr).toMatch(message)
})
