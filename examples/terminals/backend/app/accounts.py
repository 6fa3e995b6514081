"""Accounts: registration, login, tokens, and their revocation.

A token is the signed name of a row in `sessions`; it is invalid once the row is revoked, so a logout is a
logout, also where the token was copied. Next: `api.py`, which offers this over HTTP, and `live.py`.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from dataclasses import dataclass

import bcrypt
import jwt
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from .database import Base, Session, Terminal, User
from .settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{2,31}")
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 72  # bytes: what bcrypt looks at
ALGORITHM = "HS256"


class Refused(Exception):
    """A refused request, with an HTTP status and a sentence for the user."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Identity:
    """The user of a valid token."""

    user_id: int
    name: str
    session_id: str
    expires_at: int


class Accounts:
    """The accounts and sessions of one database."""

    def __init__(self, engine: AsyncEngine, secret: str, settings: Settings) -> None:
        self._engine = engine
        self._open = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
        self._secret = secret
        self._settings = settings
        # Hashing a password takes long: at most two at a time leave the other threads to the database.
        self._hashing = asyncio.Semaphore(2)
        self._hash_of_no_user = bcrypt.hashpw(b"nobody", bcrypt.gensalt(settings.bcrypt_rounds))

    async def prepare(self) -> None:
        """Creates the tables, and marks as closed the terminals that an earlier run of the backend left open."""
        async with self._engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        now = _now()
        async with self._open.begin() as session:
            await session.execute(
                update(Terminal)
                .where(Terminal.closed_at.is_(None))
                .values(closed_at=now, reason="the backend ended")
            )
            await session.execute(delete(Session).where(Session.expires_at < now - 30 * 24 * 3600))

    async def check(self) -> None:
        """Queries the database, or raises."""
        async with self._open() as session:
            await session.execute(text("SELECT 1 FROM users LIMIT 1"))

    async def register(self, name: str, password: str) -> User:
        """A new account."""
        if not self._settings.registration:
            raise Refused(403, "registration is closed here: ask the operator for an account")
        if not NAME.fullmatch(name):
            raise Refused(
                422, "a name has 3 to 32 letters, digits, `_`, `.` or `-`, and begins with a letter or a digit"
            )
        length = len(password.encode())
        if len(password) < SHORTEST_PASSWORD or length > LONGEST_PASSWORD:
            raise Refused(
                422, f"a password has at least {SHORTEST_PASSWORD} characters and at most {LONGEST_PASSWORD} bytes"
            )
        if await self._find(name):
            raise Refused(409, f"the name `{name}` is taken")
        async with self._hashing:
            salt = bcrypt.gensalt(self._settings.bcrypt_rounds)
            hashed = await asyncio.to_thread(bcrypt.hashpw, password.encode(), salt)
        user = User(
            name=name, folded_name=name.casefold(), password_hash=hashed.decode(), created_at=_now()
        )
        try:
            async with self._open.begin() as session:
                session.add(user)
        except IntegrityError:  # two at the same moment
            raise Refused(409, f"the name `{name}` is taken") from None
        return user

    async def log_in(self, name: str, password: str) -> tuple[str, Identity]:
        """A new session and its token. Takes the same time for an unknown name."""
        user = await self._find(name)
        known = user.password_hash.encode() if user else self._hash_of_no_user
        attempt = password.encode()[:LONGEST_PASSWORD]
        async with self._hashing:
            right = await asyncio.to_thread(bcrypt.checkpw, attempt, known)
        if not user or not right or len(password.encode()) > LONGEST_PASSWORD:
            raise Refused(401, "the name or the password is wrong")
        now = _now()
        row = Session(
            id=uuid.uuid4().hex,
            user_id=user.id,
            created_at=now,
            expires_at=now + self._settings.token_hours * 3600,
        )
        async with self._open.begin() as session:
            session.add(row)
        claims = {"sub": str(user.id), "jti": row.id, "iat": now, "exp": row.expires_at}
        token = jwt.encode(claims, self._secret, algorithm=ALGORITHM)
        return token, Identity(user.id, user.name, row.id, row.expires_at)

    async def identify(self, token: str) -> Identity:
        """The user of this token."""
        try:
            claims = jwt.decode(
                token, self._secret, algorithms=[ALGORITHM], options={"require": ["exp", "sub", "jti"]}
            )
            user_id, session_id = int(claims["sub"]), str(claims["jti"])
        except (jwt.InvalidTokenError, ValueError):
            raise Refused(401, "the token is not valid, or has expired: log in again") from None
        query = (
            select(User, Session)
            .join(Session, Session.user_id == User.id)
            .where(Session.id == session_id, User.id == user_id)
        )
        async with self._open() as session:
            found = (await session.execute(query)).one_or_none()
        if found is None or found.Session.revoked_at is not None or found.Session.expires_at <= _now():
            raise Refused(401, "the session has ended: log in again")
        return Identity(found.User.id, found.User.name, found.Session.id, found.Session.expires_at)

    async def log_out(self, identity: Identity, everywhere: bool) -> list[str]:
        """Revokes the session, or all sessions of the user; returns the revoked ones."""
        mine = Session.user_id == identity.user_id if everywhere else Session.id == identity.session_id
        async with self._open.begin() as session:
            revoked = await session.scalars(
                update(Session)
                .where(mine, Session.revoked_at.is_(None))
                .values(revoked_at=_now())
                .returning(Session.id)
            )
            return list(revoked)

    async def note_opened(self, terminal_id: str, identity: Identity) -> None:
        """Records that a terminal was opened."""
        async with self._open.begin() as session:
            session.add(
                Terminal(
                    id=terminal_id,
                    user_id=identity.user_id,
                    session_id=identity.session_id,
                    created_at=_now(),
                )
            )

    async def note_closed(self, terminal_id: str, reason: str) -> None:
        """Records that it was closed, and why."""
        async with self._open.begin() as session:
            await session.execute(
                update(Terminal).where(Terminal.id == terminal_id).values(closed_at=_now(), reason=reason)
            )

    async def _find(self, name: str) -> User | None:
        async with self._open() as session:
            return await session.scalar(select(User).where(User.folded_name == name.casefold()))


def _now() -> int:
    return int(time.time())
