import { certificateAdvice } from './certificate.ts'
import { isGarbled, reasonOf } from './transport-error.ts'
import type { Phase, TransportError } from './transport-error.ts'

/** What a proxy did wrong. `stays`: it would do the same again, so it is not asked again. */
export type ProxyFault = { readonly sentence: string; readonly stays: boolean }

/**
 * What is the proxy's fault, not that of the service behind it (F86). `proxy` is known where the request was with the proxy over our own
 * connections; undici's marks tell it also for a dispatcher of the user's.
 */
export function proxyFault(error: TransportError, proxy: string | undefined, phase: Phase): ProxyFault | undefined {
  const status = /^Proxy (?:response|Authentication Required) \((\d{3})\)/.exec(error.message)?.[1]
  if (status !== undefined) return refused(Number(status))
  if (error.code === 'UND_ERR_PRX_TLS') return badCertificate(codeOf(error.cause) ?? 'ERR_TLS_CERT_ALTNAME_INVALID')
  if (error.code === 'UND_ERR_PRX_CONN') return { sentence: 'it closed the connection before it opened a tunnel.', stays: false }
  if (proxy === undefined) return undefined
  if (isGarbled(error)) {
    const sentence = `what it answers is not HTTP/1.1 (${reasonOf(error)}). Check the port and whether it is http or https in ${variables}.`
    return { sentence, stays: true }
  }
  // of a request that it took, the service may be at fault
  return phase === 'connecting' ? unreachable(error) : undefined
}

const variables = 'HTTPS_PROXY or HTTP_PROXY'

function refused(status: number): ProxyFault {
  if (status === 407) {
    const sentence = `it wants a user and a password, or others than it was given (407). Write them in ${variables}, like http://user:password@proxy.internal:3128.`
    return { sentence, stays: true }
  }
  if (status === 429 || status >= 500) return { sentence: `it could not open a tunnel (${status}).`, stays: false }
  const sentence = `it refused to open a tunnel (${status}). Let it allow this host, or name the host in NO_PROXY.`
  return { sentence, stays: true }
}

function badCertificate(code: string): ProxyFault | undefined {
  const advice = certificateAdvice(code, `in ${variables}`)
  return advice === undefined ? undefined : { sentence: `TLS with it failed (${code}). ${advice}`, stays: true }
}

function unreachable(error: TransportError): ProxyFault {
  const { code = '' } = error
  if (code.startsWith('ERR_SSL')) {
    const sentence = `it does not speak TLS (${code}). Should its address in ${variables} begin with http://?`
    return { sentence, stays: true }
  }
  const sentence = `it could not be reached (${reasonOf(error)}). Check its address in ${variables}.`
  return badCertificate(code) ?? { sentence, stays: false }
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined
}
