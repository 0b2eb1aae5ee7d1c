import { execFile } from 'node:child_process'

export type Machine = {
  readonly node: string
  readonly nodeIsNewEnough: boolean
  /** One line for each GPU; undefined if there is no `nvidia-smi`. */
  readonly gpus: readonly string[] | undefined
}

/** The oldest version of Node that undici 8 and this package support. */
const oldestNode = [22, 19] as const

export async function inspectMachine(signal: AbortSignal): Promise<Machine> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const nodeIsNewEnough = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])
  return { node: process.versions.node, nodeIsNewEnough, gpus: await nvidiaCards(signal) }
}

function nvidiaCards(signal: AbortSignal): Promise<readonly string[] | undefined> {
  const query = ['--query-gpu=name,memory.used,memory.total', '--format=csv,noheader']
  return new Promise(resolve => {
    execFile('nvidia-smi', query, { timeout: 2_000, signal }, (error, output) => {
      if (error === null) return resolve(output.split('\n').filter(line => line.trim() !== ''))
      resolve(error.code === 'ENOENT' ? undefined : ['nvidia-smi is installed, but fails'])
    })
  })
}
