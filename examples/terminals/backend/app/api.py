"""The HTTP requests below `/api`. `live.py` has the events of terminals."""

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from .accounts import Accounts, Identity, Refused

log = logging.getLogger("uvicorn.error")


class Credentials(BaseModel):
    """What registration and login take. `accounts.py` checks the exact rules."""

    username: str = Field(max_length=200)
    password: str = Field(max_length=1000)


class Logout(BaseModel):
    """The body of a logout."""

    everywhere: bool = False


def routes(accounts: Accounts, end_sessions: Callable[[list[str]], Awaitable[None]]) -> APIRouter:
    """The routes; `end_sessions` ends the connections of the given sessions."""
    router = APIRouter(prefix="/api")

    async def identified(authorization: Annotated[str, Header()] = "") -> Identity:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "this takes a token: `Authorization: Bearer …`")
        return await accounts.identify(token)

    Identified = Annotated[Identity, Depends(identified)]

    @router.get("/health")
    async def health() -> JSONResponse:
        try:
            await accounts.check()
        except (SQLAlchemyError, OSError) as error:
            log.error("the database does not answer: %s", str(error).splitlines()[0])
            return JSONResponse({"status": "the database does not answer"}, status_code=503)
        return JSONResponse({"status": "ok"})

    @router.post("/register", status_code=201)
    async def register(credentials: Credentials) -> dict:
        user = await accounts.register(credentials.username, credentials.password)
        return {"username": user.name}

    @router.post("/login")
    async def log_in(credentials: Credentials) -> dict:
        token, identity = await accounts.log_in(credentials.username, credentials.password)
        return {"token": token, "username": identity.name, "expires_at": identity.expires_at}

    @router.post("/logout")
    async def log_out(identity: Identified, wish: Logout | None = None) -> dict:
        ended = await accounts.log_out(identity, everywhere=bool(wish and wish.everywhere))
        await end_sessions(ended)
        return {"ended": len(ended)}

    @router.get("/me")
    async def me(identity: Identified) -> dict:
        return {"username": identity.name, "expires_at": identity.expires_at}

    return router
