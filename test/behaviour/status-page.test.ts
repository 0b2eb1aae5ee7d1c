import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type ClientStatus, createClient, deepseek, openai } from 'unbusy'
import { statusHandler } from 'unbusy/status'
import { answer, startServer, status } from 'unbusy/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { chromium, openBrowser, type Page } from '../helpers/chromium.ts'
import { peers } from '../helpers/peers.ts'

const axe = peers('browser')

type Violation = { readonly id: string; readonly impact: string; readonly nodes: readonly { readonly html: string }[] }

describe.skipIf(chromium.isMissing || axe.isMissing)(`the status page in a browser${chromium.suffix}${axe.suffix}`, () => {
  const open: (() => unknown)[] = []
  let page: Page
  let url: string
  const looks: number[] = []
  let breaks = false
  let isLoggedOut = false
  let client: ReturnType<typeof createClient>

  beforeAll(async () => {
    const busy = await startServer(status(402))
    const good = await startServer(answer(['Hello.']), { format: 'openai' })
    client = createClient({
      chain: [
        deepseek({ baseURL: busy.baseURL, apiKey: 'sk-test', retry: 0 }),
        { ...openai({ baseURL: good.baseURL, apiKey: 'sk-test' }), keepWarm: { prompt: 'You are kind.', paid: true } },
      ],
    })
    for (let each = 0; each < 12; each += 1) await client.generate('Hi')
    const handler = statusHandler(client)
    const server = createServer((request, response) => {
      const isPage = request.url === '/status'
      if (isPage) looks.push(performance.now())
      if (!isPage) response.writeHead(404).end()
      else if (breaks) response.destroy()
      else if (isLoggedOut) response.end('<title>Log in</title><main>Log in</main>')
      else handler(request, response)
    })
    await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/status`
    page = await openBrowser()
    open.push(
      () => page.close(),
      () => server.closeAllConnections(),
      () => server.close(),
      () => client.close(),
      () => busy.close(),
      () => good.close(),
    )
  }, 60_000)
  afterAll(async () => {
    for (const close of open) await close()
  })
  beforeEach(() => {
    breaks = false
    isLoggedOut = false
  })

  const until = async (expression: string) => {
    for (let each = 0; each < 300; each += 1) {
      if (await page.evaluate<boolean>(expression)) return
      await new Promise(resolve => void setTimeout(resolve, 20))
    }
    throw new Error(`never: ${expression}; ${await page.evaluate<string>('document.body.innerText')}`)
  }

  describe.each(['light', 'dark'] as const)('in %s', scheme => {
    test.each([
      ['a phone', 390],
      ['a desk', 1280],
    ] as const)('on %s: nobody is shut out, nothing is cut off, nothing is refused by the policy', async (_, width) => {
      await page.look({ width, height: 800, scheme })
      await page.open(url)
      await page.evaluate(readFileSync(join(axe.folder, 'node_modules/axe-core/axe.min.js'), 'utf8'))
      const { violations } = await page.evaluate<{ readonly violations: readonly Violation[] }>(
        'axe.run(document, { resultTypes: ["violations"] })',
      )
      expect(violations.map(({ id, impact, nodes }) => [id, impact, nodes[0]?.html])).toEqual([])
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
      expect(await page.evaluate('document.querySelector("h1").textContent')).toContain('The first target is down, others answer')
      expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe(
        scheme === 'dark' ? 'rgb(20, 23, 27)' : 'rgb(255, 255, 255)',
      )
      expect(page.complaints).toEqual([])
    })
  })

  test.each([320, 390, 768, 1280])('names and numbers of any length fit into %d pixels', async width => {
    const [target] = client.status().targets
    const long = {
      ...target,
      name: 'n'.repeat(200),
      model: `a/${'m'.repeat(200)}`,
      provider: 'p'.repeat(200),
      state: 'open',
      cost: 1e12,
    }
    const recent = { ...client.status().recent, answered: 1e12, fallback: 1e12, degraded: 1e12, failed: 1e12, aborted: 1e12 }
    const all = {
      [`client ${'c'.repeat(200)}`]: { status: () => ({ ...client.status(), targets: [long], recent }) as ClientStatus },
    }
    const server = createServer(statusHandler(all)).listen(0, '127.0.0.1')
    onTestFinished(() => {
      server.close()
      server.closeAllConnections()
    })
    await once(server, 'listening')
    await page.look({ width, height: 800, scheme: 'light' })
    await page.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width)
  })

  test('it is looked at again every two seconds, and says when something has changed', async () => {
    await page.open(url)
    const before = looks.length
    await page.evaluate(
      'window.spoken = 0; new MutationObserver(() => { window.spoken += 1 }).observe(document.getElementById("live"), { childList: true, characterData: true, subtree: true })',
    )
    await client.generate('Hi')
    await until('document.querySelector("dd b").textContent === "13"')
    await until(`${looks.length} > 0`)
    expect(looks.length).toBeGreaterThan(before)
    expect((looks.at(-1) ?? 0) - (looks[before - 1] ?? 0)).toBeGreaterThan(1_500)
    // the state is the same: a screen reader says nothing
    expect(await page.evaluate('window.spoken')).toBe(0)
  })

  test('in the background it asks for nothing, and at once when it is seen again', async () => {
    await page.open(url)
    const set = (hidden: boolean) =>
      page.evaluate(
        `Object.defineProperty(Document.prototype, 'hidden', { configurable: true, get: () => ${hidden} }); document.dispatchEvent(new Event('visibilitychange')); 0`,
      )
    await set(true)
    const before = looks.length
    await new Promise(resolve => void setTimeout(resolve, 3_000))
    expect(looks.length).toBe(before)
    await set(false)
    await new Promise(resolve => void setTimeout(resolve, 500))
    expect(looks.length).toBeGreaterThan(before)
  })

  test('when nothing answers it says that it is old, asks less often, and recovers', async () => {
    await page.open(url)
    breaks = true
    await until('document.getElementById("age").textContent.includes("out of date")')
    const from = looks.length
    await new Promise(resolve => void setTimeout(resolve, 3_000))
    // a browser may ask twice on a connection that was cut
    expect(looks.length - from).toBeLessThanOrEqual(2)
    expect(await page.evaluate('document.querySelector("h1").textContent')).toContain('others answer')
    breaks = false
    await page.evaluate('document.dispatchEvent(new Event("visibilitychange")); 0')
    await until('document.getElementById("age").textContent.startsWith("As of")')
  })

  test('a page of a login in its place is not shown as the status: it says that it is old', async () => {
    await page.open(url)
    isLoggedOut = true
    await until('document.getElementById("age").textContent.includes("out of date")')
    expect(await page.evaluate('document.querySelector("main").innerText')).toContain('The first target is down, others answer')
    expect(await page.evaluate('document.title')).toContain('The first target is down')
  })

  test('without a script it is whole', async () => {
    const text = await (await fetch(url, { headers: { accept: 'text/html' } })).text()
    const withoutScript = text.replace(/<script>[^]*<\/script>/, '')
    for (const words of ['The first target is down, others answer', 'quota (HTTP 402)', '1. deepseek', '2. openai'])
      expect(withoutScript).toContain(words)
  })
})
