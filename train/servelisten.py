"""The server process: listens, gives up on clients that are too slow, and ends when it is told to.

Needs the extra `serve`.
"""

import asyncio
import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from shards.errors import BadSettings
from train.serve import Settings
from train.serveweb import Desk, application


class Patient(H11Protocol):
    """A connection that is closed where a request takes twice as long to come as an idle one may stay.

    The application answers 408 to a body that is late; this ends heads that never end, and what a client
    goes on sending after its answer.
    """

    late: asyncio.TimerHandle | None = None

    def connection_made(self, transport) -> None:
        """Waits for the first head."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Waits for the rest of a request, if there is one."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        coming = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if not coming:
            self._stop()
        elif self.late is None:
            self.late = self.loop.call_later(2 * self.timeout_keep_alive, self.transport.abort)

    def _stop(self) -> None:
        if self.late:
            self.late.cancel()
        self.late = None


class Ending(uvicorn.Server):
    """Ends with code 0 after a signal: it has done what the signal asked."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signal is not raised again."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


class Server:
    """A model that is loaded, at an address that is open; `run` answers until `stop` or a signal."""

    def __init__(self, settings: Settings) -> None:
        self._socket = _bound(settings.host, settings.port)
        try:
            self.desk = Desk(settings)
        except BaseException:
            self._socket.close()
            raise
        told = uvicorn.Config(
            application(self.desk), http=Patient, ws="none", loop="asyncio", lifespan="off", log_config=None,
            log_level="error", access_log=False, server_header=False,
            timeout_keep_alive=math.ceil(settings.timeout),
            timeout_graceful_shutdown=math.ceil(2 * settings.timeout),
        )  # fmt: skip
        self._server = Ending(told)
        host, port = self._socket.getsockname()[:2]
        self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self) -> None:
        """Answers requests; those under way are answered before it ends."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Lets `run` end; from any thread."""
        self._server.should_exit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self.desk.batcher.close()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(place[:2], family=family, backlog=256)
    except OSError as error:
        raise BadSettings(f"host={host} port={port}: {error.strerror or error}") from None
