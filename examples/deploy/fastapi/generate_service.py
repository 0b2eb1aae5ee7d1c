"""The plain `POST /generate` service, in front of an engine that speaks chat completions (llama.cpp, vLLM).

    ENGINE_URL=http://127.0.0.1:8080/v1 GENERATE_KEY=secret uvicorn generate_service:app --host 127.0.0.1 --port 8000

It answers `{"response": ..., "finish_reason": ..., "usage": ...}`, or with `"stream": true` the same in pieces, as server-sent events.
What it does beyond that:

- the engine is always asked for a stream: of a request without one, llama.cpp does not notice that its client has left;
- it checks whether its own client has left, and then drops the engine's stream at once, so that the slot is free for others;
- more than MAX_AT_ONCE requests are refused with 503 and Retry-After, not queued without a bound;
- `/health` asks the engine, so that a load balancer sees what a caller would see.

    ENGINE_URL     base URL of the engine, with /v1
    ENGINE_KEY     its key, if it has one
    ENGINE_MODEL   the model's name there; `default` if not set, for an engine that ignores the name
    GENERATE_KEY   the key that callers must send as `Authorization: Bearer`; without it everybody may call
    MAX_AT_ONCE    how many requests it handles at once; 4 if not set
"""

import asyncio
import json
import os
from contextlib import asynccontextmanager
from secrets import compare_digest

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
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
    stream: bool = False
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = None
    stop: list[str] | None = None
    seed: int | None = None


class EngineError(Exception):
    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class ClientLeft(Exception):
    pass


def checked(authorization: str = Header(default="")) -> None:
    if GENERATE_KEY and not compare_digest(authorization.encode(), f"Bearer {GENERATE_KEY}".encode()):
        raise HTTPException(401, "The key is missing or wrong.")


@app.post("/generate", dependencies=[Depends(checked)])
async def generate(asked: Asked, request: Request):
    if len(in_flight) >= MAX_AT_ONCE:
        return JSONResponse({"detail": "All places are taken."}, 503, {"Retry-After": "1"})
    reading = Reading(asked)
    try:
        if not asked.stream:
            return await unless_left(request, whole(reading))
        # only the first piece shows that this is no failure
        first = await unless_left(request, reading.next())
        return StreamingResponse(events(reading, first), media_type="text/event-stream")
    except ClientLeft:
        reading.task.cancel()
        return JSONResponse({"detail": "The client has left."}, 499)
    except asyncio.CancelledError:
        reading.task.cancel()
        raise
    except EngineError as error:
        return JSONResponse({"detail": str(error)}, error.status)
    except (httpx.TransportError, json.JSONDecodeError):
        return JSONResponse({"detail": "The engine does not answer."}, 503, {"Retry-After": "1"})


async def unless_left(request: Request, work):
    """The result of the work, unless the client leaves before. Without a stream, nothing else reports that."""
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait([task], timeout=0.1))[0]:
            if await request.is_disconnected():
                raise ClientLeft
        return task.result()
    finally:
        task.cancel()


class Reading:
    """The engine's answer, read in a task of its own: starlette cancels what awaits in the request's scope, and then the
    connection to the engine would stay open."""

    def __init__(self, asked: Asked):
        # small: a slow client slows the engine down
        self.pieces: asyncio.Queue[dict] = asyncio.Queue(16)
        self.task = asyncio.create_task(self.read(asked))
        in_flight.add(self.task)
        # the place is free when the engine is, not when the client has been answered
        self.task.add_done_callback(in_flight.discard)

    async def read(self, asked: Asked) -> None:
        body = {
            "model": ENGINE_MODEL,
            "messages": [{"role": "user", "content": asked.prompt}],
            **asked.model_dump(exclude={"prompt"}, exclude_none=True),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        async with app.state.engine.stream("POST", "/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                raise EngineError(answer.status_code, message_of(await answer.aread()))
            async for piece in pieces_of(answer):
                await self.pieces.put(piece)

    async def next(self) -> dict | None:
        """The next piece, or None at the end. Raises what ended the reading."""
        getter = asyncio.ensure_future(self.pieces.get())
        try:
            await asyncio.wait({getter, self.task}, return_when=asyncio.FIRST_COMPLETED)
            if getter.done():
                return getter.result()
            if not self.pieces.empty():
                return self.pieces.get_nowait()
            self.task.result()
            return None
        finally:
            getter.cancel()


async def pieces_of(answer: httpx.Response):
    finish_reason, usage = None, None
    async for line in answer.aiter_lines():
        # before httpx 0.24 a line keeps its end
        line = line.strip()
        if not line.startswith("data:") or line == "data: [DONE]":
            continue
        chunk = json.loads(line[5:])
        if "error" in chunk:
            raise EngineError(500, str(chunk["error"].get("message", "The engine failed.")))
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or []:
            finish_reason = choice.get("finish_reason") or finish_reason
            text = choice.get("delta", {}).get("content")
            if text:
                yield {"response": text}
    if finish_reason is None:
        raise EngineError(502, "The engine broke off.")
    yield {"response": "", "finish_reason": finish_reason, "usage": usage}


async def whole(reading: Reading) -> dict:
    text, last = "", {}
    while (piece := await reading.next()) is not None:
        text += piece["response"]
        last = piece
    return {**last, "response": text}


async def events(reading: Reading, piece: dict | None):
    try:
        while piece is not None:
            yield f"data: {json.dumps(piece)}\n\n"
            piece = await reading.next()
        yield "data: [DONE]\n\n"
    except (EngineError, httpx.TransportError, json.JSONDecodeError) as error:
        # the status was sent already
        yield f"data: {json.dumps({'error': {'message': str(error) or 'The engine broke off.'}})}\n\n"
    finally:
        # the client has left, or all is read
        reading.task.cancel()


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
