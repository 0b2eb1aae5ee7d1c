import { statSync } from 'node:fs'
import type { Target } from '../contract-targets.ts'
import { UsageError } from './command.ts'

/** The variable with the path of the embedded model, used if the option is not given. */
const variable = 'UNBUSY_EMBEDDED'

export const embeddedHelp = `--embedded FILE   runs a GGUF file in this process as the last target (or ${variable}); needs node-llama-cpp`

/** Returns the embedded model, the last target of the chain; undefined if none is configured. */
export async function embeddedTarget(
  option: string | undefined,
  { parallel }: { readonly parallel: number },
): Promise<Target | undefined> {
  const file = option ?? process.env[variable] ?? ''
  if (option === '') throw new UsageError('--embedded must be a GGUF file, for example --embedded models/qwen3-1.7b-q4.gguf.')
  if (file === '') return undefined
  const named = option === undefined ? variable : '--embedded'
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) throw new UsageError(`${named}: there is no file at ${file}.`)
  if (!isInstalled())
    throw new UsageError(`${named} needs the package node-llama-cpp. Install it beside unbusy: npm install node-llama-cpp@3`)
  const { embedded } = await import('../embedded/embedded.ts')
  return embedded({ modelPath: file, parallel })
}

/** Only resolves the package, because loading hundreds of megabytes before the first call would be slow. */
function isInstalled(): boolean {
  try {
    import.meta.resolve('node-llama-cpp')
    return true
  } catch {
    return false
  }
}
