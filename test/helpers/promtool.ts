import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import { needed } from './needed.ts'

/** Prometheus' own checker of rules. */
const isThere = spawnSync('promtool', ['--version']).status === 0
export const promtool = needed('promtool', isThere ? undefined : 'promtool is not on the PATH; apt-get install prometheus')

/** Runs it in a folder. Resolves with what it printed and whether all was right. */
export async function runPromtool(
  words: readonly string[],
  folder: string,
): Promise<{ readonly ok: boolean; readonly output: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)('promtool', [...words], { cwd: folder })
    return { ok: true, output: stdout + stderr }
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { readonly stdout?: string; readonly stderr?: string }
    return { ok: false, output: stdout + stderr }
  }
}
