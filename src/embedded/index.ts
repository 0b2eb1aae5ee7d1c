import '../require-node.ts'

export { embedded, type EmbeddedOptions } from './embedded.ts'
