import type { Row } from './failure-row.ts'

/** A challenge or a firewall's page: neither the key nor the request was looked at by the service. */
const page = { reason: 'malformed-response', charged: 'target' } as const

/** Headers of proxies, and pages that they write in the service's place (F24). The status of a page still tells what is passing. */
export const pageRows: readonly Row[] = [
  // whoever says it, and whatever else it calls it
  { from: 'R137', statuses: [413], reason: 'context-length', charged: 'request' },
  {
    from: 'F31',
    statuses: [407],
    reason: 'authentication',
    charged: 'nobody',
    cure: 'A proxy wants a user and a password: check the proxy that is set (HTTPS_PROXY), not the API key.',
  },
  { from: 'F24 Cloudflare', header: ['cf-mitigated', /./], ...page },
  { from: 'F24 AWS WAF', header: ['x-amzn-waf-action', /captcha|challenge|block/i], ...page },
  { from: 'F24 Vercel', header: ['x-vercel-mitigated', /./], ...page },
  { from: 'F24 Squid', header: ['x-squid-error', /./], ...page },
  { from: 'F24 Sucuri', header: ['x-sucuri-block', /./], ...page },
  { from: 'F24 DataDome', header: ['x-datadome', /./], page: true, ...page },
  // these say by their status that the moment, not the request, was wrong
  { from: 'F24 Cloudflare 1015', page: true, words: /\berror code: 1015\b|you are being rate limited/i, reason: 'rate-limit' },
  { from: 'F24', page: true, statuses: [429], reason: 'rate-limit' },
  { from: 'F24', page: true, statuses: [408, 425, 503, 529], reason: 'overloaded' },
  // the proxy knows no such path: no other model would be found there either
  {
    from: 'F24',
    page: true,
    statuses: [404, 410],
    reason: 'not-found',
    charged: 'target',
    cure: 'A proxy answered in place of the service: check the base URL.',
  },
  { from: 'F24', page: true, statuses: range(200, 299), ...page },
  { from: 'F24', page: true, statuses: range(400, 499), ...page },
  { from: 'F24', page: true, statuses: range(500, 599), reason: 'server-error' },
]

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}
