import { afterEach, expect, test, vi } from 'vitest'

const real = process.versions

afterEach(() => {
  Object.defineProperty(process, 'versions', { ...writable, value: real })
  vi.resetModules()
})

test.each(['18.20.8', '20.20.2', '22.18.9', '22.0.0-nightly2024'])('Node %s is refused by name', async node => {
  await expect(load({ node })).rejects.toThrow(`unbusy needs Node 22.19 or newer, but this is v${node}`)
})

test.each(['22.19.0', '22.20.1', '23.0.0', '24.21.0', '26.0.0-rc.1', '100.1.0'])('Node %s is taken', async node => {
  await expect(load({ node })).resolves.toBeDefined()
})

test('Bun and Deno are taken, whatever Node they say they are like', async () => {
  await expect(load({ node: '20.11.1', deno: '2.0.0' })).resolves.toBeDefined()
  await expect(load({ node: '21.6.0', bun: '1.1.0' })).resolves.toBeDefined()
})

test('what is no Node is taken', async () => {
  await expect(load({})).resolves.toBeDefined()
})

const writable = { configurable: true, enumerable: true, writable: false }

async function load(versions: Readonly<Record<string, string>>): Promise<unknown> {
  Object.defineProperty(process, 'versions', { ...writable, value: versions })
  vi.resetModules()
  return import('../../src/require-node.ts')
}
