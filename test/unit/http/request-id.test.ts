import { expect, test } from 'vitest'
import { isRequestId, requestIdIn } from '../../../src/http/post.ts'

test.for([
  [{ 'x-request-id': 'a-1' }, 'told', 'a-1'],
  [{ 'x-request-id': ' a-1 ' }, undefined, 'a-1'],
  [{ 'x-request-id': ['a-1', 'b-2'] }, undefined, 'a-1'],
  [{ 'x-request-id': 'b-2', 'x-ds-trace-id': 'a-1' }, undefined, 'a-1'],
  [{ 'cf-ray': 'edge-1' }, 'told', 'told'],
  [{ 'cf-ray': 'edge-1' }, undefined, 'edge-1'],
  [{ 'x-request-id': 'tell me a story about whales', 'request-id': 'a-1' }, undefined, 'a-1'],
  [{ 'x-request-id': [] }, undefined, undefined],
  [{}, undefined, undefined],
] as const)('the id in %j, where the body tells %s, is %s', ([headers, told, expected]) => {
  expect(requestIdIn(headers, told)).toBe(expected)
})

test.for([
  'req_011CSHoEeqs5C35K2UUqR7Fy',
  '4bf92f3577b34da6a3ce929d0e0e4736',
  'chatcmpl-9f86d081-4c7d-feed-beef-0123',
  'x-1/2:3+4=5@6.7_8-0123456789ab',
  // letters with a digit among them are no word
  '1abcdefghijklmn-0123456789ab',
  'abcdefghijklmn1-0123456789ab',
  'req-1hello-hello1-0123456789ab',
  'abcdefghijkl-0123456789abcdef',
  // too short to be a piece of the prompt
  'averylongword',
  'req-the-salary',
])('%s is an id', text => {
  expect(isRequestId(text)).toBe(true)
})

test.for([
  '',
  'tell me',
  'averylongsentencewithoutblanks',
  'averylongword-0123456789abcdef',
  'req-the-salary-of-the-chairman',
  'req-0123456789abcdef-hellofeed',
  'req-0123456789abcdef-feedhello',
  'req-0123456789abcdef-word',
  `a-${'1'.repeat(127)}`,
  'ünter-0123456789abcdef0123',
])('%s may be a piece of the prompt, and is no id', text => {
  expect(isRequestId(text)).toBe(false)
})
