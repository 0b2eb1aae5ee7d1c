/**
 * `172.16.0.0/12` and similar ranges as patterns of their first bytes: RFC 1918, loopback, link-local, the range of carriers and
 * Tailscale, and `0.0.0.0`, which servers print as their address and which is this machine.
 */
const privateIPv4 =
  /^(?:127|10)\.|^0\.0\.0\.0$|^192\.168\.|^172\.(?:1[6-9]|2\d|3[01])\.|^169\.254\.|^100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./

/** This machine, unique local, link-local. */
const privateIPv6 = /^(?:::1?$|f[cd][\da-f]{2}:|fe[89ab][\da-f]:)/

/** Names that no public name server resolves. */
const privateName = /(?:^|\.)(?:localhost|local|internal|lan|home\.arpa)$/

/**
 * Whether the address shows that a server is self-hosted: loopback, a private network, a name that only such networks use, or a
 * name without a dot, as containers have. No name is resolved.
 */
export function isPrivateAddress(baseURL: string): boolean {
  const hostname = new URL(baseURL).hostname.toLowerCase().replace(/\.$/, '')
  if (hostname.startsWith('[')) return isPrivateIPv6(hostname.slice(1, -1))
  return privateIPv4.test(hostname) ? /^[\d.]+$/.test(hostname) : privateName.test(hostname) || !hostname.includes('.')
}

function isPrivateIPv6(address: string): boolean {
  // an IPv4 address mapped to IPv6: `::ffff:7f00:1`
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(address) ?? []
  if (high === undefined || low === undefined) return privateIPv6.test(address)
  const bytes = [high, low].flatMap(group => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff])
  return privateIPv4.test(bytes.join('.'))
}
