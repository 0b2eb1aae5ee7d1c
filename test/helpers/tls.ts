import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { onTestFinished } from 'vitest'

/** Made with OpenSSL for these tests: one is valid from 2020 to 2120, the other was until 2020-01-02. Their key protects nothing. */
export type CertificateFile = 'localhost.pem' | 'expired.pem'

const read = (file: string) => readFileSync(new URL(`tls/${file}`, import.meta.url), 'utf8')

/** An HTTPS server with one of the certificates for `localhost`. Closed when the test ends. */
export async function tlsServer(file: CertificateFile, listener: RequestListener = (_, response) => response.end()) {
  let handshakes = 0
  const server = createServer({ cert: read(file), key: read('key.pem') }, listener)
  server.on('connection', () => (handshakes += 1))
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, handshakes: () => handshakes }
}

/** Until the test ends, Node trusts this certificate as an authority. */
export function trust(file: CertificateFile): void {
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, read(file)])
  onTestFinished(() => setDefaultCACertificates(before))
}
