/** Halves of the bytes and not of the text: a character torn apart as text would arrive as two wrong ones. */
export function halvesOf(body: string): readonly Uint8Array[] {
  const bytes = Buffer.from(body)
  const middle = Math.ceil(bytes.length / 2)
  return [bytes.subarray(0, middle), bytes.subarray(middle)].filter(half => half.length > 0)
}
