import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { needed } from './needed.ts'

/** A real Redis without persistence: every start begins empty. */
export type RedisServer = {
  readonly port: number
  /** Listens when it resolves; on the same port every time. */
  up(): Promise<void>
  /** Dies at once, as by a power cut. */
  kill(): Promise<void>
  /** Keeps its connections and answers nothing any more, until `thaw()`. */
  freeze(): void
  thaw(): void
}

const isThere = spawnSync('redis-server', ['--version']).status === 0
export const redisServer = needed('redis', isThere ? undefined : 'redis-server is not on the PATH; apt-get install redis-server')

export async function createRedisServer(): Promise<RedisServer> {
  const port = await freePort()
  let child: ChildProcess | undefined

  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }

  const server: RedisServer = {
    port,
    async up() {
      await kill()
      const values = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
      child = spawn('redis-server', values, { stdio: 'ignore' })
      while (!(await listens(port))) await delay(20)
    },
    kill,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
  }
  await server.up()
  return server
}

async function listens(port: number): Promise<boolean> {
  const socket = createConnection(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
