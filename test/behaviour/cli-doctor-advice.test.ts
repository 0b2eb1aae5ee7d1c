import { expect } from 'vitest'
import { json, status, type ReplySource } from 'unbusy/testing'
import { runCli } from '../helpers/run-cli.ts'
import { test } from '../helpers/vitest.ts'

const leaking = json({ choices: [{ message: { content: 'The user wants' } }] })

test.for([
  ['deepseek-r1', 'deepseek_r1'],
  ['DeepSeek-R1-0528-Qwen3-8B', 'deepseek_r1'],
  ['deepseek-v3.1', 'deepseek_v3'],
  ['deepseek-v4-flash', 'deepseek_v4'],
  ['DeepSeek-V4.1-Flash', 'deepseek_v41'],
  ['qwen3-32b', 'qwen3'],
] as const)('doctor names the parser of %s', async ([model, parser], { server }) => {
  const routes = {
    'GET /v1/models': json({ data: [{ id: model }] }),
    'POST /v1/chat/completions': leaking,
    'GET /server_info': json({ reasoning_parser: null }),
  }
  const { baseURL, requests } = await server(status(404), { format: 'vllm', routes })
  const end = await runCli(['doctor'], { VLLM_BASE_URL: baseURL, SGLANG_BASE_URL: baseURL })
  expect(end.stdout).toContain(`--reasoning-parser ${parser}\n`)
  expect(end.stdout).toContain(`--reasoning-parser ${parser.replace('_', '-')}\n`)
  // a model that thinks only if it is told to, and is not, would seem to leak
  const question = requests.find(({ method }) => method === 'POST')
  expect(question?.json).toMatchObject({ max_tokens: 16, chat_template_kwargs: { thinking: true, enable_thinking: true } })
  // deprecated by SGLang
  expect(requests.map(({ path }) => path)).not.toContain('/get_server_info')
})

test.for(['Qwen3-4B-Instruct-2507', 'qwen3-coder-30b'])(
  'doctor advises no parser for %s, which does not reason',
  async (model, { server }) => {
    const routes = {
      'GET /v1/models': json({ data: [{ id: model }] }),
      'POST /v1/chat/completions': json({ choices: [{ message: { content: 'Hello! How can I help you?' } }] }),
      'GET /server_info': json({ reasoning_parser: null }),
    }
    const { baseURL } = await server(status(404), { format: 'vllm', routes })
    const end = await runCli(['doctor'], { VLLM_BASE_URL: baseURL, SGLANG_BASE_URL: baseURL, LLAMA_BASE_URL: baseURL })
    expect(end.stdout).toContain(model)
    expect(end.stdout).not.toContain('--reasoning')
  },
)

/** llama.cpp b11669 reports this format whatever `--reasoning-format` is. */
const props = (is_sleeping: boolean) =>
  json({ is_sleeping, default_generation_settings: { params: { reasoning_format: 'none' } } })

test.for<readonly [string, boolean, ReplySource, RegExp | undefined]>([
  ['leaks', false, leaking, /reasoning comes as part of the text.*: --reasoning-format deepseek$/m],
  ['separates it', false, json({ choices: [{ message: { content: '', reasoning_content: 'The user' } }] }), undefined],
  ['sleeps, and is not woken', true, leaking, undefined],
])(
  'doctor believes the answer of llama.cpp, not its settings, on whether it %s',
  async ([, sleeps, reply, advice], { server }) => {
    const { baseURL, requests } = await server(status(404), {
      format: 'llama',
      routes: {
        'GET /v1/models': json({ data: [{ id: 'deepseek-r1-distill-qwen-32b' }] }),
        'GET /props': props(sleeps),
        'POST /v1/chat/completions': reply,
      },
    })
    const end = await runCli(['doctor'], { LLAMA_BASE_URL: baseURL })
    if (advice === undefined) expect(end.stdout).not.toContain('--reasoning-format')
    else expect(end.stdout).toMatch(advice)
    expect(requests.some(({ method }) => method === 'POST')).toBe(!sleeps)
  },
)

test.for<readonly [string, ReplySource]>([
  ['a refused key', status(401, { error: 'Unauthorized' })],
  ['a fault of the server', status(500, { error: 'boom' })],
  ['a page that a proxy has for every path', json('Welcome')],
])('doctor advises no flag because of %s, nor because of a length that is none', async ([, page], { server }) => {
  const { baseURL } = await server(status(404), {
    format: 'vllm',
    routes: {
      'GET /v1/models': json({ data: [{ id: 'chat', max_model_len: -1 }] }),
      'GET /server_info': json({ context_length: -1 }),
      'GET /version': page,
      'GET /metrics': page,
    },
  })
  const end = await runCli(['doctor', '--json'], { VLLM_BASE_URL: baseURL, VLLM_API_KEY: 'key', SGLANG_BASE_URL: baseURL })
  const { services } = JSON.parse(end.stdout) as { services: { name: string; advice: { what: string }[] }[] }
  const adviceOf = (name: string) => services.find(service => service.name === name)?.advice.map(({ what }) => what)
  expect(adviceOf('sglang')).toEqual([])
  expect(adviceOf('vllm')).toEqual([expect.stringMatching(/check that its queue is limited/)])
})

test.for<readonly [string, string, boolean]>([
  ['its requests and not those that wait', 'trtllm_request_success_total 3\n', true],
  ['both', 'trtllm_request_success_total 3\ntrtllm_num_requests_waiting 0\n', false],
  ['nothing yet', '# no request has come\n', false],
])('doctor sees whether TensorRT-LLM reports %s', async ([, page, isAdvised], { server }) => {
  const routes = { 'GET /v1/models': json({ data: [{ id: 'chat' }] }), 'GET /prometheus/metrics': status(200, page) }
  const { baseURL } = await server(status(404), { format: 'vllm', routes })
  const end = await runCli(['doctor'], { TENSORRT_LLM_BASE_URL: baseURL })
  expect(/does not report its load.*: return_perf_metrics and enable_iter_perf_stats/.test(end.stdout)).toBe(isAdvised)
})
