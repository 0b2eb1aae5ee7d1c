"""The plain `POST /generate` service, in front of an engine that speaks chat completions (llama.cpp, vLLM).

    ENGINE_URL=http://127.0.0.1:8080/v1 GENERATE_KEY=secret uvicorn generate_service:app --host 127.0.0.1 --port 8000

It answers `{"response": ..., "finish_reason": ..., "usage": ...}`. What it takes care of:

- the engine is always asked for a stream: of a request without one, llama.cpp does not notice that its client has left;
- it asks whether its own client has left, and then drops the engine's stream at once, so that the slot is free for others;
- more than MAX_AT_ONCE requests are refused with 503 and Retry-After, not queued without a bound;
- `/health` asks the engine, so that a load balancer sees what a caller would see.

    ENGINE_URL     base URL of the engine, with /v1
    ENGINE_KEY     its key, where it has one
    ENGINE_MODEL   the model's name there; `default` when it does not look at the name
    GENERATE_KEY   the key that callers must send as `Authorization: Bearer`; without it everybody may call
    MAX_AT_ONCE    4
"""

import asyncio
import json
import os
from contextlib import asynccontextmanager
from secrets import compare_digest

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

ENGINE_URL = os.environ["ENGINE_URL"].rstrip("/")
ENGINE_KEY = os.environ.get("ENGINE_KEY", "")
ENGINE_MODEL = os.environ.get("ENGINE_MODEL", "default")
GENERATE_KEY = os.environ.get("GENERATE_KEY", "")
MAX_AT_ONCE = int(os.environ.get("MAX_AT_ONCE", "4"))
in_flight: set[asyncio.Task] = set()


@asynccontextmanager
async def lifespan(app: FastAPI):
    headers = {"authorization": f"Bearer {ENGINE_KEY}"} if ENGINE_KEY else {}
    # an answer may take minutes; a connection may not
    timeout = httpx.Timeout(None, connect=5)
    async with httpx.AsyncClient(base_url=ENGINE_URL, headers=headers, timeout=timeout) as client:
        app.state.engine = client
        yield


app = FastAPI(lifespan=lifespan)


class Asked(BaseModel):
    prompt: str
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = None
    stop: list[str] | None = None
    seed: int | None = None


class EngineError(Exception):
    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def checked(authorization: str = Header(default="")) -> None:
    if GENERATE_KEY and not compare_digest(authorization.encode(), f"Bearer {GENERATE_KEY}".encode()):
        raise HTTPException(401, "The key is missing or wrong.")


@app.post("/generate", dependencies=[Depends(checked)])
async def generate(asked: Asked, request: Request):
    if len(in_flight) >= MAX_AT_ONCE:
        return JSONResponse({"detail": "All places are taken."}, 503, {"Retry-After": "1"})
    # a task of its own: starlette cancels what awaits in the request's own scope, and the engine's connection would stay open
    reading = asyncio.create_task(answer_of(asked))
    in_flight.add(reading)
    # when the engine is free again, not when the client has been answered
    reading.add_done_callback(in_flight.discard)
    while not (await asyncio.wait([reading], timeout=0.1))[0]:
        if await request.is_disconnected():
            reading.cancel()
            return JSONResponse({"detail": "The client has left."}, 499)
    try:
        return reading.result()
    except EngineError as error:
        return JSONResponse({"detail": str(error)}, error.status)
    except (httpx.TransportError, json.JSONDecodeError):
        return JSONResponse({"detail": "The engine does not answer."}, 503, {"Retry-After": "1"})


async def answer_of(asked: Asked) -> dict:
    body = {
        "model": ENGINE_MODEL,
        "messages": [{"role": "user", "content": asked.prompt}],
        "stream": True,
        "stream_options": {"include_usage": True},
        **asked.model_dump(exclude={"prompt"}, exclude_none=True),
    }
    async with app.state.engine.stream("POST", "/chat/completions", json=body) as answer:
        if answer.status_code != 200:
            raise EngineError(answer.status_code, message_of(await answer.aread()))
        return await collected(answer)


async def collected(answer: httpx.Response) -> dict:
    text, finish_reason, usage = "", None, None
    async for line in answer.aiter_lines():
        if not line.startswith("data:") or line.strip() == "data: [DONE]":
            continue
        chunk = json.loads(line[5:])
        if "error" in chunk:
            raise EngineError(500, str(chunk["error"].get("message", "The engine failed.")))
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or []:
            text += choice.get("delta", {}).get("content") or ""
            finish_reason = choice.get("finish_reason") or finish_reason
    if finish_reason is None:
        raise EngineError(502, "The engine broke off.")
    return {"response": text, "finish_reason": finish_reason, "usage": usage}


def message_of(body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
        return error if isinstance(error, str) else str(error["message"])
    except (ValueError, KeyError, TypeError):
        return "The engine refused the request."


@app.get("/health")
async def health():
    try:
        answer = await app.state.engine.get("/models", timeout=5)
    except httpx.TransportError:
        return JSONResponse({"status": "the engine does not answer"}, 503)
    if answer.status_code != 200:
        return JSONResponse({"status": "the engine is not ready"}, 503)
    return {"status": "ok"}
