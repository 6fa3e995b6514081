"""The application with four faults that can be ordered, for drills: `APP=tests.drill:app`. Never for users.

Each fault leaves a mark beside the database, or none; a server that foster has started again is free of it.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from fastapi import Response

from app.main import app

folder = Path(os.environ["DATABASE"]).parent
broken = folder / "drill-exception"
if broken.exists():
    broken.unlink()
    raise RuntimeError("a drill: an exception while a worker loads the application")
unhealthy = folder / "drill-unhealthy"
ballast = []

# In front of the application's own.
routes = list(app.router.routes)
app.router.routes.clear()


@app.get("/health")
async def health():
    """Fails until the server that was asked to is gone."""
    if unhealthy.exists() and unhealthy.read_text() == str(os.getppid()):
        return Response("a drill: unhealthy", status_code=503)
    return {"status": "ok"}


@app.post("/drill/unhealthy")
async def become_unhealthy():
    unhealthy.write_text(str(os.getppid()))


@app.post("/drill/exception")
async def raise_exception():
    """Ends this worker; the next one cannot load the application, and so gunicorn ends."""
    broken.touch()
    asyncio.get_running_loop().call_later(0.01, sys.exit, 1)


@app.post("/drill/memory")
async def fill_memory(megabytes: int):
    ballast.append(b"x" * (megabytes << 20))


@app.post("/drill/hang")
async def hang(seconds: int):
    """Blocks this worker: it can neither accept nor answer."""
    time.sleep(seconds)


app.router.routes.extend(routes)
