#!/usr/bin/env bash
# llama.cpp on a Mac, without a container, because containers cannot use its GPU. Metal gives a program three quarters of the memory.
#
# DeepSeek-R1-Distill-Llama-70B with 4 bits on 96 GB
# (npx unbusy size deepseek-r1-distill-llama-70b --precision q4_k_m --gpu m3-ultra-96 --context 65536)
#
#   brew install llama.cpp
#   LLAMA_API_KEY=... ./mac.sh
set -euo pipefail
: "${LLAMA_API_KEY:?set it: whoever reaches the port can use the model}"

# --port: the default changed from 8080 to 9931
exec "${LLAMA_SERVER:-llama-server}" \
  -hf "${MODEL:-unsloth/DeepSeek-R1-Distill-Llama-70B-GGUF:Q4_K_M}" \
  --alias deepseek-r1-distill-llama-70b \
  --host 127.0.0.1 --port 8080 \
  -c 65536 -np 4 -ngl 99 \
  --metrics --reasoning-format deepseek
