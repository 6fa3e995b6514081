"""gunicorn's worker with uvicorn, which ends without losing a request.

uvicorn closes every connection without a request under way when it is asked to stop, also one that was accepted a moment
ago and of which the request is still to be read. This worker stops accepting first, answers what arrives on connections that
it has, with `Connection: close`, and closes the idle ones after `DRAIN_SECONDS`. Connections that it has not accepted wait
in foster's socket for another worker. It ends in this way at a stop, a reload and after `max_requests`.

It reports to foster, by sd_notify, when it serves, and when it cannot load the application: gunicorn ends then, and foster
starts the next one beside it. Without foster no report is sent.
"""

import asyncio
import logging

from gunicorn.systemd import sd_notify
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

DRAIN_SECONDS = 1.0


def report(state):
    sd_notify(state, logging.getLogger("gunicorn.error"))


class ClosingApp:
    """The application; while the worker drains, each answer is the last one of its connection."""

    def __init__(self, app):
        self.app = app
        self.is_draining = False

    async def __call__(self, scope, receive, send):
        async def send_last(message):
            if self.is_draining and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await self.app(scope, receive, send_last if scope["type"] == "http" else send)


class DrainingServer(Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        if self.started:
            report("READY=1")

    async def shutdown(self, sockets=None):
        for server in self.servers:
            server.close()
        self.config.app.is_draining = True
        state = self.server_state
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DRAIN_SECONDS
        while state.connections and not self.force_exit and loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(state.connections):
            connection.shutdown()
        # gunicorn ends a worker that takes longer than `graceful_timeout`.
        while (state.connections or state.tasks) and not self.force_exit:
            await asyncio.sleep(0.01)
        if not self.force_exit:
            await self.lifespan.shutdown()


class Worker(UvicornWorker):
    def load_wsgi(self):
        try:
            super().load_wsgi()
        except Exception:
            report("STOPPING=1")
            raise

    async def _serve(self):
        self.config.app = ClosingApp(self.wsgi)
        server = DrainingServer(self.config)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            report("STOPPING=1")
            raise SystemExit(3)
