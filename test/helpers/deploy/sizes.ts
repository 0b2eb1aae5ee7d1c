import type { SizingOptions } from 'unbusy/sizing'

/** What a recipe says that it was sized by: `npx unbusy size deepseek-r1 --gpu h200 --count 8 --context 65536`. */
export function sizesIn(text: string): readonly SizingOptions[] {
  return [...text.matchAll(/npx unbusy size (\S+)((?: --[a-z-]+ [\w.-]+)*)/g)].map(([, model = '', rest = '']) => {
    const flags = new Map([...rest.matchAll(/--([a-z-]+) ([\w.-]+)/g)].map(([, name = '', value = '']) => [name, value]))
    const number = (name: string) => (flags.has(name) ? Number(flags.get(name)) : undefined)
    return { model, gpu: flags.get('gpu'), precision: flags.get('precision'), count: number('count'), context: number('context') }
  })
}
