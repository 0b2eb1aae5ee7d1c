/**
 * Writes dashboard.json: node examples/monitoring/grafana/make-dashboard.ts > examples/monitoring/grafana/dashboard.json
 *
 * The seven questions of whoever is on call, in their order. Classic schema: files of it are provisioned and imported alike. The data
 * source is a variable, as `__inputs` would be resolved by the import form alone.
 */
import { pathToFileURL } from 'node:url'

type Query = readonly [expr: string, legend: string]
type Panel = {
  readonly title: string
  readonly type: 'stat' | 'timeseries' | 'state-timeline' | 'heatmap'
  readonly queries: readonly Query[]
  readonly unit?: string
  readonly wide?: number
  readonly stacked?: 'normal' | 'percent'
  readonly steps?: readonly (readonly [color: string, from: number | null])[]
  readonly words?: readonly (readonly [value: number, text: string, color: string])[]
}
type Row = readonly [question: string, ...panels: readonly Panel[]]

const calls = 'job=~"$job", client=~"$client"'
const all = `${calls}, provider=~"$provider"`
const rate = (metric: string, labels = '', range = '$__rate_interval') =>
  `rate(unbusy_${metric}{${metric.startsWith('call') ? calls : all}${labels === '' ? '' : `, ${labels}`}}[${range}])`
const quantile = (share: number, metric: string, by: string) =>
  `histogram_quantile(${share}, sum by (${by}le) (${rate(`${metric}_bucket`)}))`
const state = (name: string) => `unbusy_target_state{${all}, state="${name}"}`
const target = '{{target}} {{provider}} {{model}} {{name}}'

const rows: readonly Row[] = [
  [
    '1. Do calls get their answer?',
    {
      ...{ title: 'Without an answer', type: 'stat', unit: 'percentunit', wide: 5 },
      queries: [
        [
          `(sum(${rate('calls_total', 'outcome=~"failed|degraded"')}) or vector(0)) / sum(${rate('calls_total', 'outcome!="aborted"')})`,
          '',
        ],
      ],
      steps: [
        ['green', null],
        ['orange', 0.001],
        ['red', 0.0144],
      ],
    },
    {
      title: 'Calls by outcome',
      type: 'timeseries',
      unit: 'reqps',
      wide: 10,
      stacked: 'normal',
      queries: [[`sum by (outcome) (${rate('calls_total')})`, '{{outcome}}']],
    },
    {
      ...{ title: 'Duration of a call', type: 'timeseries', unit: 's', wide: 9 },
      queries: [
        [quantile(0.5, 'call_duration_seconds', ''), 'p50'],
        [quantile(0.95, 'call_duration_seconds', ''), 'p95'],
      ],
    },
  ],
  [
    '2. Which target is down, and why?',
    {
      ...{ title: 'State', type: 'state-timeline', wide: 14 },
      queries: [
        [
          `max by (provider, model, target, name) (sum by (job, instance, client, provider, model, target, name) (${state('half-open')} or ${state('gated')} * 2 or ${state('open')} * 3))`,
          target,
        ],
      ],
      words: [
        [0, 'is up', 'green'],
        [1, 'is tried', 'yellow'],
        [2, 'must wait', 'orange'],
        [3, 'is down', 'red'],
      ],
    },
    {
      title: 'Failures by reason',
      type: 'timeseries',
      unit: 'reqps',
      wide: 10,
      stacked: 'normal',
      queries: [
        [
          `sum by (target, provider, name, reason) (${rate('attempts_total', 'outcome="failed"')}) > 0`,
          '{{target}} {{provider}} {{name}}: {{reason}}',
        ],
      ],
    },
  ],
  [
    '3. Who answers?',
    {
      title: 'Answers by target',
      type: 'timeseries',
      unit: 'reqps',
      wide: 14,
      stacked: 'percent',
      queries: [[`sum by (target, provider, model, name) (${rate('attempts_total', 'outcome="answered"')})`, target]],
    },
    {
      title: 'Passed over without being asked',
      type: 'timeseries',
      unit: 'reqps',
      wide: 10,
      queries: [
        [`sum by (target, provider, name, reason) (${rate('skips_total')})`, '{{target}} {{provider}} {{name}}: {{reason}}'],
      ],
    },
  ],
  [
    '4. How fast is the first content?',
    {
      ...{ title: 'First content', type: 'timeseries', unit: 's', wide: 14 },
      queries: [
        [quantile(0.5, 'first_chunk_seconds', 'provider, model, '), '{{provider}} {{model}} p50'],
        [quantile(0.95, 'first_chunk_seconds', 'provider, model, '), '{{provider}} {{model}} p95'],
      ],
    },
    {
      title: 'All of them',
      type: 'heatmap',
      unit: 's',
      wide: 10,
      queries: [[`sum by (le) (increase(unbusy_first_chunk_seconds_bucket{${all}}[$__rate_interval]))`, '{{le}}']],
    },
  ],
  [
    '5. Is there room?',
    {
      ...{ title: 'In flight, and the limit', type: 'timeseries', wide: 12 },
      queries: [
        [`sum by (target, provider, name) (unbusy_attempts_in_flight{${all}})`, '{{target}} {{provider}} {{name}} in flight'],
        [`sum by (target, provider, name) (unbusy_concurrency_limit{${all}})`, '{{target}} {{provider}} {{name}} limit'],
      ],
    },
    {
      ...{ title: 'Calls that wait, and seconds waited', type: 'timeseries', wide: 12 },
      queries: [
        [`sum by (target, provider, name) (unbusy_calls_waiting{${all}})`, '{{target}} {{provider}} {{name}} waiting'],
        [`sum by (target, provider, name) (${rate('waits_seconds_total')})`, '{{target}} {{provider}} {{name}} seconds a second'],
      ],
    },
  ],
  [
    '6. What do we add to the load?',
    {
      ...{ title: 'Retries and hedges among all requests', type: 'timeseries', unit: 'percentunit', wide: 14 },
      queries: [
        [`sum(${rate('retries_total')}) / sum(${rate('attempts_total')})`, 'retries'],
        [`sum(${rate('hedges_total')}) / sum(${rate('attempts_total')})`, 'hedges'],
      ],
    },
    {
      title: 'Retries left',
      type: 'timeseries',
      wide: 10,
      queries: [[`min by (target, provider, name) (unbusy_retries_left{${all}})`, '{{target}} {{provider}} {{name}}']],
    },
  ],
  [
    '7. What does it cost?',
    {
      title: 'Dollars an hour',
      type: 'timeseries',
      unit: 'currencyUSD',
      wide: 9,
      queries: [[`sum by (provider, part) (${rate('cost_dollars_total')}) * 3600`, '{{provider}} {{part}}']],
    },
    {
      title: 'In the time shown',
      type: 'stat',
      unit: 'currencyUSD',
      wide: 4,
      queries: [[`sum(increase(unbusy_cost_dollars_total{${all}}[$__range]))`, '']],
    },
    {
      title: 'Tokens',
      type: 'timeseries',
      unit: 'short',
      wide: 7,
      queries: [[`sum by (provider, type) (${rate('tokens_total')})`, '{{provider}} {{type}}']],
    },
    {
      title: 'Usage unknown',
      type: 'stat',
      unit: 'percentunit',
      wide: 4,
      queries: [[`sum(${rate('usage_unknown_total')}) / sum(${rate('attempts_total')})`, '']],
    },
  ],
]

const datasource = { type: 'prometheus', uid: '${datasource}' }
const height = 8

function panelsOf(): readonly object[] {
  const panels: object[] = []
  let y = 0
  for (const [question, ...those] of rows) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: question,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: 24, h: 1 },
    })
    let x = 0
    for (const panel of those) {
      const w = panel.wide ?? 12
      panels.push({ id: panels.length + 1, ...panelOf(panel), gridPos: { x, y: y + 1, w, h: height } })
      x += w
    }
    y += height + 1
  }
  return panels
}

function panelOf({ title, type, queries, unit = 'short', stacked, steps, words }: Panel): object {
  const targets = queries.map(([expr, legendFormat], index) => ({
    ...{ datasource, expr, legendFormat: legendFormat === '' ? '__auto' : legendFormat, refId: 'ABC'[index], range: true },
    ...(type === 'heatmap' ? { format: 'heatmap' } : {}),
  }))
  const thresholds = steps && { mode: 'absolute', steps: steps.map(([color, value]) => ({ color, value })) }
  const mappings = words && [
    { type: 'value', options: Object.fromEntries(words.map(([value, text, color], index) => [value, { text, color, index }])) },
  ]
  const custom =
    type === 'timeseries'
      ? { fillOpacity: stacked === undefined ? 5 : 40, stacking: { mode: stacked ?? 'none', group: 'A' }, showPoints: 'never' }
      : {}
  return {
    ...{ title, type, datasource, targets },
    fieldConfig: {
      defaults: { unit, min: 0, custom, ...(thresholds ? { thresholds } : {}), ...(mappings ? { mappings } : {}) },
      overrides: [],
    },
    options: optionsOf(type),
  }
}

function optionsOf(type: Panel['type']): object {
  if (type === 'stat') return { reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false }, colorMode: 'value' }
  if (type === 'timeseries')
    return { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } }
  return {}
}

function variable(name: string, label: string, query: string): object {
  return {
    ...{ type: 'query', name, label, datasource, query: { query, refId: name }, definition: query },
    ...{ refresh: 2, multi: true, includeAll: true, allValue: '.*', current: { text: 'All', value: '$__all' } },
  }
}

export function makeDashboard(): string {
  const dashboard = {
    ...{ id: null, uid: 'unbusy', title: 'unbusy', tags: ['unbusy'], schemaVersion: 42, version: 1, editable: true },
    ...{ time: { from: 'now-30m', to: 'now' }, refresh: '10s', timezone: 'browser', graphTooltip: 1 },
    templating: {
      list: [
        { type: 'datasource', name: 'datasource', label: 'Data source', query: 'prometheus', current: {} },
        variable('job', 'Job', 'label_values(unbusy_calls_total, job)'),
        variable('client', 'Client', 'label_values(unbusy_calls_total, client)'),
        variable('provider', 'Provider', 'label_values(unbusy_attempts_total, provider)'),
      ],
    },
    annotations: { list: [] },
    panels: panelsOf(),
  }
  return `${JSON.stringify(dashboard, undefined, 2)}\n`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(makeDashboard())
