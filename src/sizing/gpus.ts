/** A GPU, or a Mac with unified memory. */
export type Gpu = {
  /** The value for `--gpu`. */
  readonly name: string
  /** Other common spellings, in lower case without hyphens. */
  readonly aliases: readonly string[]
  /** The GiB that a program can use: an "80 GB" card has 79.6. */
  readonly gib: number
  /** The memory bandwidth in TB/s. */
  readonly bandwidth: number
  /** Whether the GPU computes in `fp8` and `fp4`. All other precisions are converted to 16 bits. */
  readonly computes: readonly ('fp8' | 'fp4')[]
  /** Whether several of them are connected by NVLink or an equivalent. Otherwise tensor parallelism uses PCIe. */
  readonly linked: boolean
  /** The average price of one GPU for one hour, in US dollars. `undefined`: not looked up, or not offered for rent. */
  readonly pricePerHour: number | undefined
  readonly source: string
  /** When the figures were looked up. */
  readonly date: string
}

const date = '2026-11-30'
const specs = 'llmbook appendix G, gpuhunter, r/LocalLLaMA; GiB as nvidia-smi shows them'
const prices = 'prices: GetDeploying, average of 2026-06'

const hopper = { computes: ['fp8'], linked: true } as const
const blackwell = { computes: ['fp8', 'fp4'], linked: true } as const
const desk = { linked: false, pricePerHour: undefined, date } as const
/** Metal lets a program use three quarters of the Mac's memory. */
const mac = { computes: [], ...desk, source: "Apple's data sheets; 0.75 of the memory is Metal's working set" } as const

/** Known GPUs: data, with its source and date. */
export const gpus: readonly Gpu[] = [
  {
    ...{
      name: 'h100',
      aliases: ['h10080', 'h10080gb', 'h800', 'h10080gbhbm3', 'h100sxm'],
      gib: 79.6,
      bandwidth: 3.35,
      ...hopper,
    },
    ...{ pricePerHour: 3.13, source: `${specs}; ${prices}`, date },
  },
  {
    ...{ name: 'h200', aliases: ['h200141', 'h200141gb', 'h200sxm'], gib: 140.4, bandwidth: 4.8, ...hopper },
    ...{ pricePerHour: 4.06, source: `${specs}; ${prices}`, date },
  },
  {
    ...{ name: 'b200', aliases: ['gb200', 'b200180gb', 'b200192gb'], gib: 179, bandwidth: 8, ...blackwell },
    ...{ pricePerHour: 4.86, source: `${specs}; ${prices}`, date },
  },
  {
    ...{
      name: 'a100-80',
      aliases: ['a100', 'a10080gb', 'a100sxm480gb', 'a800'],
      gib: 79.3,
      bandwidth: 2,
      computes: [],
      linked: true,
    },
    ...{ pricePerHour: undefined, source: specs, date },
  },
  {
    ...{ name: 'mi300x', aliases: ['mi300', 'amdmi300x'], gib: 192, bandwidth: 5.3, computes: ['fp8'], linked: true },
    ...{ pricePerHour: undefined, source: specs, date },
  },
  { ...{ name: 'l40s', aliases: [], gib: 45, bandwidth: 0.86, computes: ['fp8'] }, ...desk, source: specs },
  { ...{ name: 'a40', aliases: [], gib: 45, bandwidth: 0.7, computes: [] }, ...desk, source: specs },
  {
    ...{
      name: 'rtx-pro-6000',
      aliases: [
        'rtx6000pro',
        'pro6000',
        'rtxpro6000blackwell',
        'rtxpro6000blackwellserveredition',
        'rtxpro6000blackwellworkstationedition',
      ],
      gib: 95.6,
      bandwidth: 1.79,
      computes: ['fp8', 'fp4'],
    },
    ...{ ...desk, source: "NVIDIA's data sheet" },
  },
  {
    ...{ name: 'rtx-5090', aliases: ['5090'], gib: 31.8, bandwidth: 1.79, computes: ['fp8', 'fp4'] },
    ...{ ...desk, source: "NVIDIA's data sheet" },
  },
  { ...{ name: 'rtx-4090', aliases: ['4090'], gib: 24, bandwidth: 1, computes: ['fp8'] }, ...desk, source: specs },
  { ...{ name: 'rtx-3090', aliases: ['3090'], gib: 24, bandwidth: 0.94, computes: [] }, ...desk, source: "NVIDIA's data sheet" },
  { name: 'm3-ultra-512', aliases: ['m3ultra', 'macstudio', 'm3ultra512gb'], gib: 384, bandwidth: 0.82, ...mac },
  { name: 'm3-ultra-256', aliases: ['m3ultra256gb'], gib: 192, bandwidth: 0.82, ...mac },
  { name: 'm3-ultra-96', aliases: ['m3ultra96gb'], gib: 72, bandwidth: 0.82, ...mac },
]
