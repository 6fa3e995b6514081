"""Puts the service together: `uvicorn app.main:app`.

What cannot be set up is one line on stderr and exit status 1: no traceback, because it is the operator's to mend.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import socketio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from .accounts import Accounts, Refused
from .api import routes
from .database import open_database
from .isolation import choose
from .live import Live
from .settings import Isolation, Settings, SetupError
from .terminals import Terminals
from .volume import prepare

log = logging.getLogger("uvicorn.error")


def create_app(settings: Settings) -> socketio.ASGIApp:
    """The service over this volume. A defect of the volume is a `SetupError`."""
    secret = prepare(settings)
    fence = choose(settings)
    engine = open_database(settings.database)
    accounts = Accounts(engine, secret, settings)
    live = Live(accounts, Terminals(accounts, fence, settings))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await accounts.prepare()
        log.log(logging.INFO if fence.kind is Isolation.USER else logging.WARNING, "%s", fence.words)
        ending = _end_at_once(live)
        yield
        await (ending[0] if ending else live.end_all("the backend ends"))
        await engine.dispose()

    api = FastAPI(title="terminals", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    api.include_router(routes(accounts, live.end_sessions))

    @api.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        return JSONResponse({"detail": error.message}, status_code=error.status)

    return socketio.ASGIApp(live.server, api)


def _end_at_once(live: Live) -> list[asyncio.Task[None]]:
    """Closes the terminals at the stop signal. The server would first wait for its connections to end, and a
    connection with an open terminal has no reason to. Returns the task, once there is one."""
    loop = asyncio.get_running_loop()
    ending: list[asyncio.Task[None]] = []

    def begin() -> None:
        if not ending:
            ending.append(loop.create_task(live.end_all("the backend ends")))

    def chain(number: signal.Signals) -> None:
        before = signal.getsignal(number)

        def received(signum: int, frame: object) -> None:
            loop.call_soon_threadsafe(begin)
            if callable(before):
                before(signum, frame)

        signal.signal(number, received)

    try:
        chain(signal.SIGTERM)
        chain(signal.SIGINT)
    except ValueError:  # not the main thread: another server's process, as in a test
        pass
    return ending


def __getattr__(name: str) -> socketio.ASGIApp:
    """`app`, created on first use, so that a test can import this without a volume."""
    if name != "app":
        raise AttributeError(name)
    try:
        app = create_app(Settings.read())
    except SetupError as error:
        sys.exit(f"terminals: {error}")
    globals()["app"] = app
    return app
