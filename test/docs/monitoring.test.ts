import { readFileSync } from 'node:fs'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Registry } from 'prom-client'
import { prometheus } from 'unbusy/prometheus'
import { describe, expect, onTestFinished, test } from 'vitest'
import { makeDashboard } from '../../examples/monitoring/grafana/make-dashboard.ts'
import { ask, prometheusServer, type Running, type Series, startApp, startPrometheus } from '../helpers/prometheus.ts'
import { promtool, runPromtool } from '../helpers/promtool.ts'

const repository = join(import.meta.dirname, '../..')
const folder = join(repository, 'examples/monitoring')
const read = (path: string) => readFileSync(join(repository, path), 'utf8')

type Target = { readonly expr: string; readonly datasource: object }
type Panel = {
  readonly type: string
  readonly title: string
  readonly targets?: readonly Target[]
  readonly datasource?: object
  readonly gridPos: object
}
type Dashboard = {
  readonly schemaVersion: number
  readonly id: null
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] }
}

const dashboard = JSON.parse(read('examples/monitoring/grafana/dashboard.json')) as Dashboard
const panels = dashboard.panels.filter(({ type }) => type !== 'row')
const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const))

/** A query as it is asked of Prometheus: what Grafana puts in for its variables. */
function asked(expr: string): string {
  return expr
    .replaceAll(/\$(job|client|provider)\b/g, '.*')
    .replaceAll('$__rate_interval', '20s')
    .replaceAll('$__range', '60s')
}

const alerts = [...read('examples/monitoring/alerts.yml').matchAll(/- alert: (\w+)/g)].map(([, name]) => name ?? '')

test('the dashboard is what its script makes', () => {
  expect(dashboard).toEqual(JSON.parse(makeDashboard()))
})

test('the dashboard can be provisioned and imported: classic schema 42, a variable as data source, seven questions', () => {
  expect(dashboard.schemaVersion).toBe(42)
  expect(dashboard.id).toBeNull()
  expect(dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title[0])).toEqual([
    '1',
    '2',
    '3',
    '4',
    '5',
    '6',
    '7',
  ])
  expect(queries.length).toBeGreaterThanOrEqual(12)
  expect(dashboard.templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource' })
  const sources = panels.flatMap(panel => [panel.datasource, ...(panel.targets ?? []).map(({ datasource }) => datasource)])
  expect(new Set(sources.map(source => JSON.stringify(source)))).toEqual(new Set(['{"type":"prometheus","uid":"${datasource}"}']))
  expect(read('examples/monitoring/grafana/dashboard.json')).not.toContain('__inputs')
})

test('every metric that alerts and dashboard name is one that unbusy/prometheus has', () => {
  const register = new Registry()
  prometheus({ register })
  const metrics = new Set(register.getMetricsAsArray().map(({ name }) => name))
  const named = `${read('examples/monitoring/alerts.yml')}${JSON.stringify(queries)}`.matchAll(
    /\bunbusy_(\w+?)(?:_bucket|_count|_sum)?(?=[{[)\]])/g,
  )
  const names = new Set([...named].map(([, name]) => name ?? ''))
  expect(names.size).toBeGreaterThan(10)
  expect([...names].filter(name => !metrics.has(`unbusy_${name}`))).toEqual([])
})

test('every alert has its paragraph in docs/monitoring.md, and is tested firing and silent', () => {
  expect(alerts.length).toBeGreaterThanOrEqual(6)
  const page = read('docs/monitoring.md')
  expect(alerts.filter(name => !page.includes(`### ${name}\n`))).toEqual([])
  const tests = ['alerts', 'alerts-long'].map(name => read(`examples/monitoring/${name}.test.yml`)).join('\n')
  const checks = tests.split(/(?=\bexpr: )/)
  const told = (name: string, value: number) =>
    checks.some(check => new RegExp(`alertname=~?"${name}[".]`).test(check) && check.includes(`value: ${value} }`))
  expect(alerts.filter(name => !told(name, 1) || !told(name, 0))).toEqual([])
})

describe.skipIf(promtool.isMissing)(`the rules${promtool.suffix}`, () => {
  test('promtool finds no fault in configuration and rules', async () => {
    for (const words of [
      ['check', 'config', 'prometheus.yml'],
      ['check', 'rules', 'alerts.yml'],
    ])
      expect(await runPromtool(words, folder)).toMatchObject({ ok: true })
  })

  test('each alert fires when it should, and is silent when it should', async () => {
    expect(await runPromtool(['test', 'rules', 'alerts.test.yml', 'alerts-long.test.yml'], folder)).toMatchObject({ ok: true })
  })

  test.each([
    ['never fires', 'vector(0) > 1'],
    ['always fires', 'label_replace(vector(1), "job", "unbusy", "", "")'],
  ])('the tests find out each alert that %s', async (_, expr) => {
    const broken = await mkdtemp(join(tmpdir(), 'unbusy-rules-'))
    onTestFinished(() => rm(broken, { recursive: true, force: true }))
    const rules = read('examples/monitoring/alerts.yml').split(/(?=^      - alert: )/m)
    const changed = rules.map(rule => (rule.startsWith('      - alert: ') ? replaced(rule, expr) : rule)).join('')
    expect(changed.split(expr)).toHaveLength(alerts.length + 1)
    await writeFile(join(broken, 'alerts.yml'), changed)
    const files = ['alerts.test.yml', 'alerts-long.test.yml']
    for (const file of files) await copyFile(join(folder, file), join(broken, file))
    const { ok, output } = await runPromtool(['test', 'rules', ...files], broken)
    expect(ok).toBe(false)
    expect(alerts.filter(name => !output.includes(`alertname=\\"${name}\\"`))).toEqual([])
  })
})

/** A rule with another expression, and no time to wait for it. */
function replaced(rule: string, expr: string): string {
  return rule
    .replace(/^        expr:[^]*?(?=^        (?:for|labels):)/m, `        expr: ${expr}\n`)
    .replace(/^        for:.*\n/m, '')
}

test('the app ends by SIGTERM, and shows status and metrics', async () => {
  const app = await startApp('calm')
  const metrics = await (await fetch(`http://127.0.0.1:${app.port}/metrics`)).text()
  expect(metrics).toContain('unbusy_calls_total{client="",outcome="failed"} 0')
  const status = await fetch(`http://127.0.0.1:${app.port}/status`, { headers: { accept: 'application/json' } })
  expect(await status.json()).toMatchObject({ targets: [{ provider: 'deepseek' }, { provider: 'openai' }, { name: 'own' }] })
  expect(await app.stop()).toBe(0)
})

describe.skipIf(prometheusServer.isMissing)(`a real Prometheus${prometheusServer.suffix}`, () => {
  test('scrapes the app, and every query of the dashboard has data', async () => {
    const app = await startApp('all')
    onTestFinished(async () => void (await app.stop()))
    const server = await startPrometheus({ all: app.port }, 1)
    onTestFinished(async () => void (await server.stop()))
    const hasData = (series: readonly Series[]) => series.some(({ values }) => values.some(([, value]) => value !== 'NaN'))
    let empty: readonly (readonly [string, string])[] = queries
    for (let each = 0; each < 60 && empty.length > 0; each += 1) {
      await wait(1_500)
      const shown = await Promise.all(empty.map(async query => hasData(await ask(server.port, asked(query[1]), 90))))
      empty = empty.filter((_, index) => shown[index] === false)
    }
    expect(empty).toEqual([])
  })

  // only with .ci/run --all
  test.skipIf(process.env['UNBUSY_LONG'] === undefined)(
    'side by side: the first page is there within two minutes of the first lost call, and where all is calm nothing fires',
    { timeout: 600_000 },
    async () => {
      const apps: Record<string, Running> = { all: await startApp('all'), calm: await startApp('calm') }
      const server = await startPrometheus(Object.fromEntries(Object.entries(apps).map(([scene, { port }]) => [scene, port])), 5)
      onTestFinished(async () => {
        for (const each of [server, ...Object.values(apps)]) await each.stop()
      })
      await wait(290_000)
      const firstAt = async (query: string) => {
        const times = (await ask(server.port, query, 290)).flatMap(({ values }) => values.map(([at]) => at))
        return Math.min(...times)
      }
      const lost = await firstAt('sum(unbusy_calls_total{job="unbusy-all", outcome=~"failed|degraded"}) > 0')
      const page = await firstAt('ALERTS{job="unbusy-all", severity="page", alertstate="firing"}')
      console.log(`the first call was lost, and ${Math.round(page - lost)} s later the first page was there`)
      expect(lost).toBeLessThan(Infinity)
      expect(page - lost).toBeLessThan(140)
      // a rule about all jobs has no job: it fires for none of them while both are scraped
      const calm = await ask(server.port, 'ALERTS{job="unbusy-calm", alertstate="firing"}', 290)
      expect(calm.map(({ metric }) => metric['alertname'])).toEqual([])
    },
  )
})
