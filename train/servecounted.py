"""Counts the requests of an application by address and status, and how long the reading ones take."""

import time
from collections.abc import Container
from typing import Any

from train.servemetrics import SECONDS, Count, Histogram

READ = ("/read", "/batch")  # addresses whose seconds are told
ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]


class Counted:
    """An ASGI application around another one.

    known: addresses that are counted by themselves; all others together are `other`.
    """

    def __init__(self, app: Any, known: Container[str]) -> None:
        self.app, self.known = app, known
        self.requests = Count("ocr_requests_total", "Requests by address and status.", ("path", "status"))
        self.seconds = Histogram("ocr_request_seconds", "From a request's head to its answer.", SECONDS)
        self.metrics = [self.requests, self.seconds]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status, start = "500", time.perf_counter()

        async def sent(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                message = {**message, "headers": [*message["headers"], *ALWAYS]}
            await send(message)

        try:
            await self.app(scope, receive, sent)
        finally:
            path = scope["path"] if scope["path"] in self.known else "other"
            self.requests.add(path, status)
            if path in READ:
                self.seconds.observe(time.perf_counter() - start)
