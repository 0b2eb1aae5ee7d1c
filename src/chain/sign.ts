import type { ProviderError } from '../errors.ts'
import type { ChainTarget } from './state.ts'

/** Providers need not know who they are in a chain: the attempt signs their errors. The one place that writes to an error. */
export function sign(error: ProviderError, target: ChainTarget, requestId?: string): void {
  const unsigned = error as { provider: string; model: string; requestId: string | undefined }
  if (unsigned.provider === '') unsigned.provider = target.provider.name
  if (unsigned.model === '') unsigned.model = target.model
  unsigned.requestId ??= requestId
}
