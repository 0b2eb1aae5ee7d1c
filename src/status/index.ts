import '../require-node.ts'

export { statusFetch, statusHandler, type StatusSource } from './handler.ts'
