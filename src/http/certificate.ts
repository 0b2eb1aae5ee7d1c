/** OpenSSL's and Node's codes for a certificate that is refused. It is refused again, however often it is shown. */
export function isAboutCertificate(code = ''): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)/.test(code)
}

/** What helps against a refused certificate. @param where the host name was written; `undefined` = it is about no certificate */
export function certificateAdvice(code: string, where: string): string | undefined {
  if (!isAboutCertificate(code)) return undefined
  if (code === 'CERT_HAS_EXPIRED') return 'Its certificate has expired: renew it there, or check the date of this machine.'
  if (code === 'CERT_NOT_YET_VALID') return 'Its certificate is not valid yet: check the date of this machine.'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `Its certificate is for another host: check the host name ${where}.`
  if (code === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
    return `${untrusted} A server with a public certificate must also send the certificates between its own and the authority.`
  return untrusted
}

const untrusted =
  'Its certificate is not trusted: for an authority of your own start Node with NODE_EXTRA_CA_CERTS, or give a dispatcher that knows it.'
