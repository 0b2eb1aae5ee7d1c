export { fromResponse, type ResponseError } from './from-response.ts'
export type { StreamEvent } from '../answer/stream-event.ts'
