"""The addresses of a server: what each takes and gives, and what it says to a request that it does not take.

POST /read takes one image as it is, or several as JSON; the rows are those of `train.predict`. An error is
JSON with the one key `error`, and names the setting where a limit was met. Needs the extra `serve`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from shards import pictures
from shards.errors import BadData
from shards.progress import version
from train import servemetrics, servepage
from train.reader import Answer, Given, Reading, readings
from train.serve import Settings
from train.servebatch import Batcher
from train.servecounted import Counted
from train.servejson import named, parsed

ERRORS = {
    400: "not HTTP, or not all of it",
    408: "slower than timeout=",
    413: "more than body=, images= or pixels=",
    415: "neither an image nor JSON",
    422: "not what it says it is",
    503: "queue= is full",
    504: "no answer within timeout=",
}
RAW = ("image/", "application/octet-stream")
JSON = "application/json"
ONE = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
DATA = {"type": "object", "required": ["data"], "properties": {
    "data": {"type": "string", "format": "byte"}, "name": {"type": "string", "maxLength": 256},
}}  # fmt: skip
IMAGES = {
    "type": "object",
    "required": ["images"],
    "properties": {"images": {"type": "array", "items": DATA}},
}
MANY = {JSON: {"schema": IMAGES}}


class TooLarge(BadData):
    """An image with more pixels than the server takes."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What one model reads in an image: rows as `train.predict` writes them."""

    model: str
    readings: list[Reading]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, and what each model reads in it."""

    name: str
    answers: list[Answered]


@dataclass(frozen=True, slots=True)
class Pictures:
    """The images of a request in their order; one that cannot be read has rows with an error."""

    images: list[Picture]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the server reads."""

    status: str
    models: list[str]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer."""

    error: str


class Desk:
    """Takes requests, has their images read in batches, and counts."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.names = settings, settings.names
        self.models = settings.answers()
        self.inside = 0
        self.read_at_once = servemetrics.Histogram(
            "ocr_batch_images", "Images read at once.", servemetrics.IMAGES
        )
        self.batcher = Batcher(self._seen, settings.batch, settings.wait / 1000)
        self.gauges = [
            servemetrics.Gauge("ocr_requests_inside", "Requests to be answered.", lambda: self.inside),
            servemetrics.Gauge("ocr_images_waiting", "Images of no batch.", lambda: self.batcher.waiting),
        ]

    def _seen(self, images: Sequence[bytes]) -> list[tuple[Answer, ...]]:
        """The answers of all models to each image; called by the thread of the batcher."""
        self.read_at_once.observe(len(images))
        given: list[Given] = [self._within(image) for image in images]
        names = [""] * len(given)
        return list(zip(*(answers(names, given) for answers in self.models), strict=True))

    def _within(self, image: bytes) -> Given:
        found, most = pictures.pixels(image), self.settings.pixels
        return TooLarge(f"{found} pixels, at most pixels={most} are read") if found > most else image

    async def read(self, request: Request, name: str = "") -> Response:
        """What stands in one image, sent as it is, or in several, sent as JSON in base64."""
        async with self._admitted():
            kind = request.headers.get("content-type", "")
            if kind.lower().startswith(RAW):
                return JSONResponse(asdict(await self._one(request, named(name))))
            if kind.partition(";")[0].strip().lower() == JSON:
                return JSONResponse(asdict(await self._several(request)))
            said = f"content-type {kind[:99]!r}: an image is sent as image/jpeg or so, several as {JSON}"
            raise HTTPException(415, said)

    async def _one(self, request: Request, name: str) -> Picture:
        (answers,) = await self._answered([await self._body(request)])
        failed = next((one for one in answers if isinstance(one, Exception)), None)
        if failed:
            raise HTTPException(413 if isinstance(failed, TooLarge) else 422, str(failed))
        return self._told(name, answers)

    async def _several(self, request: Request) -> Pictures:
        given = await asyncio.to_thread(parsed, await self._body(request), self.settings.images)
        found = await self._answered([image for _, image in given])
        failed = [one for (one, *_) in found if isinstance(one, Exception)]
        if len(failed) == len(found):
            raise HTTPException(413 if isinstance(failed[0], TooLarge) else 422, str(failed[0]))
        return Pictures([self._told(name, answers) for (name, _), answers in zip(given, found, strict=True)])

    def _told(self, name: str, answers: Sequence[Answer]) -> Picture:
        rows = [readings([name], [answer]) for answer in answers]
        return Picture(name, [Answered(*pair) for pair in zip(self.names, rows, strict=True)])

    @asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        """A place among the requests inside, as long as it is; 503 where there is none."""
        if self.inside >= self.settings.queue:
            said = f"queue={self.settings.queue} requests are inside already; try again"
            raise HTTPException(503, said, {"Retry-After": "1"})
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def _body(self, request: Request) -> bytes:
        """All that was sent, in time and within bounds."""
        most, found = self.settings.body, bytearray()
        large = HTTPException(413, f"more than body={most} bytes")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise large
        try:
            async with asyncio.timeout(self.settings.timeout):
                async for chunk in request.stream():
                    found += chunk
                    if len(found) > most:
                        raise large
        except TimeoutError:
            raise HTTPException(408, f"slower than timeout={self.settings.timeout:g} seconds") from None
        except ClientDisconnect:
            raise HTTPException(400, "the client left before all was sent") from None
        return bytes(found)

    async def _answered(self, images: Sequence[bytes]) -> list[tuple[Answer, ...]]:
        asked = [asyncio.wrap_future(self.batcher.submit(image)) for image in images]
        try:
            async with asyncio.timeout(self.settings.timeout):
                return await asyncio.gather(*asked)
        except TimeoutError:
            raise HTTPException(504, f"no answer in timeout={self.settings.timeout:g} seconds") from None
        finally:
            for one in asked:
                one.cancel()

    async def health(self) -> Response:
        """Whether the server reads."""
        return JSONResponse(asdict(Health("ok", self.names)))


async def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse(asdict(Failure(str(error.detail))), error.status_code, error.headers)
    return JSONResponse(asdict(Failure("the server failed; it says more on its standard error")), 500)


def application(desk: Desk) -> Counted:
    """All addresses of a desk."""
    app = FastAPI(title="OCR Distillery", version=version(), docs_url=None, redoc_url=None)
    page = servepage.trying(desk.names)
    wrong: dict[int | str, dict[str, Any]] = {
        code: {"model": Failure, "description": said} for code, said in ERRORS.items()
    }

    def add(path: str, answer: Any, method: str, **more: Any) -> None:
        app.add_api_route(path, answer, methods=[method], **more)

    add("/read", desk.read, "POST", response_model=Picture | Pictures, responses=wrong,
        openapi_extra={"requestBody": {"required": True, "content": {**ONE, **MANY}}})  # fmt: skip
    add("/health", desk.health, "GET", response_model=Health)
    counted = Counted(app, {"/", "/docs", "/openapi.json", "/read", "/health", "/metrics"})
    metrics = [*counted.metrics, desk.read_at_once, *desk.gauges]

    def scraped() -> Response:
        """Counts and times, as Prometheus scrapes them."""
        return PlainTextResponse(servemetrics.written(metrics), media_type=servemetrics.KIND)

    add("/metrics", scraped, "GET", response_class=PlainTextResponse)
    add("/docs", lambda: _page(servepage.listing(app.openapi())), "GET", include_in_schema=False)
    add("/", lambda: _page(page), "GET", include_in_schema=False)
    add("/favicon.ico", lambda: Response(status_code=204), "GET", include_in_schema=False)
    for kind in (HTTPException, Exception):
        app.add_exception_handler(kind, _failed)
    return counted


def _page(text: str) -> Response:
    return HTMLResponse(text, headers={"Content-Security-Policy": servepage.policy(text)})
