import { sizeDeployment } from 'unbusy/sizing'

const { fits, kvTokens, maxConcurrent, inFlight, replicas, speed, breakEven } = sizeDeployment({
  ...{ model: 'deepseek-r1', gpu: 'h200', count: 8, context: 65_536 },
  // two requests a second; output tokens include the reasoning; tokens per second as measured for one user
  ...{ arrivals: 2, inputTokens: 1_500, outputTokens: 2_500, tokensPerSecond: 20 },
})
console.log(`fits: ${fits}, ${kvTokens} tokens in the cache, ${maxConcurrent} requests at once`)
console.log(`${inFlight} in flight need ${replicas} replicas`)
console.log(`${speed.total.map(Math.round).join(' to ')} tokens/s in all`)
for (const { api, outputTokensPerMonth, verdict } of breakEven)
  console.log(`${api}: ${(outputTokensPerMonth / 1e9).toFixed(1)} G tokens a month, ${verdict}`)
//=> fits: true, 629472 tokens in the cache, 157 requests at once
//=> 250 in flight need 3 replicas
//=> 195 to 2472 tokens/s in all
//=> deepseek-flash: 34.4 G tokens a month, does not pay
//=> deepseek-v4-pro: 10.0 G tokens a month, does not pay
