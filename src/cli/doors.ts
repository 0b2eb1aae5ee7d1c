/* eslint-disable no-restricted-imports -- the table of hosts, the probe and the nearest name are needed here too, and are no part of the public face */
export { createConnections } from '../http/connections.ts'
export { getJson } from '../http/get-json.ts'
export { suggestion } from '../providers/check-options.ts'
export { hosts } from '../providers/hosts.ts'
