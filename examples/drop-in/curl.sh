#!/bin/sh
# GATEWAY is where it listens, KEY one of its keys
curl --silent --no-buffer --fail-with-body "${GATEWAY:-http://127.0.0.1:4000}/v1/chat/completions" \
  --header "authorization: Bearer $KEY" --header 'content-type: application/json' \
  --data '{ "model": "chat", "stream": true, "messages": [{ "role": "user", "content": "Why is the sky blue?" }] }'
