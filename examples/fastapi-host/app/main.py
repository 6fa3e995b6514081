"""A small API that has a secret. foster and the reverse proxy know only its port and `/health`."""

import os
import secrets

from fastapi import FastAPI, Header, HTTPException

app = FastAPI(title="report")
TOKEN = os.environ["API_TOKEN"]


@app.get("/health")
async def health():
    return {"status": "ok", "pid": os.getpid()}


@app.get("/report")
async def report(authorization: str = Header(default="")):
    if not secrets.compare_digest(authorization.encode(), f"Bearer {TOKEN}".encode()):
        raise HTTPException(401, "the token is missing or wrong")
    return {"visitors": 42}
