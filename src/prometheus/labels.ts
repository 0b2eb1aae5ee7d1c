/** The labels of every metric about one target. All of them are known when the client is created. */
export type TargetLabels = Readonly<Record<(typeof targetNames)[number], string>>

export const targetNames = ['client', 'provider', 'model', 'target', 'step', 'name'] as const

type Names = {
  readonly provider: string
  /** The configured model, because the one that a server reports may be any text. */
  readonly model: string
  readonly name: string | undefined
  readonly targetIndex: number
  readonly step: number
}

export function targetLabels(client: string, { provider, model, name = '', targetIndex, step }: Names): TargetLabels {
  return { client, provider, model, target: String(targetIndex), step: String(step), name }
}
