import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const repository = join(import.meta.dirname, '../..')

test('the API pages can be made: no link leads nowhere, and no signature is without a word', { timeout: 600_000 }, async () => {
  const typedoc = join(repository, 'node_modules/typedoc/bin/typedoc')
  const made = promisify(execFile)(process.execPath, [typedoc, '--emit', 'none'], { cwd: repository })
  // what it says of a fault is in the message of the error
  await expect(
    made.then(
      () => 'made',
      ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
    ),
  ).resolves.toBe('made')
})
