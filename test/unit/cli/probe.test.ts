import { expect } from 'vitest'
import { find } from '../../../src/cli/probe.ts'
import { codeOf, services, stepOf } from '../../../src/cli/services.ts'
import { json, status } from '../../../src/testing/index.ts'
import { test } from '../../helpers/vitest.ts'

const llama = services.find(({ name }) => name === 'llama')!
const options = { limitMs: 5_000, signal: new AbortController().signal }
const models = json({ data: [{ id: 'tiny' }] })

test('llama-server is looked for at 8080 and at 9931', () => {
  expect([llama.defaultBaseURL, llama.movedBaseURL]).toEqual(['http://127.0.0.1:8080/v1', 'http://127.0.0.1:9931/v1'])
})

test('a server that moved is found where it is, also when something else took its place, and the code says so', async ({
  server,
}) => {
  const stranger = await server(status(404))
  const moved = await server(models, { format: 'llama' })
  for (const defaultBaseURL of ['http://127.0.0.1:1/v1', stranger.baseURL]) {
    const { service, sighting } = await find({ ...llama, defaultBaseURL, movedBaseURL: moved.baseURL }, options)
    expect(sighting).toMatchObject({ state: 'up', models: ['tiny'] })
    expect(codeOf([stepOf(service, undefined)])).toContain(`llama({ baseURL: '${moved.baseURL}' })`)
  }
})

test('one that is where it always was is looked for nowhere else', async ({ server }) => {
  const usual = await server(status(503), { format: 'llama' })
  const moved = await server(models, { format: 'llama' })
  const { service, sighting } = await find({ ...llama, defaultBaseURL: usual.baseURL, movedBaseURL: moved.baseURL }, options)
  expect(sighting.state).toBe('loading')
  expect(service.foundBaseURL).toBeUndefined()
  expect(moved.requests).toEqual([])
})
