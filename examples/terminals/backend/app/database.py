"""The three tables, and the engine that reaches them. `accounts.py` gives the rows their meaning.

Times are whole seconds since 1970, in UTC: SQLite has no type for them, and tokens count the same way.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import ForeignKey, Index, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The base of all tables, which creates them together."""


class User(Base):
    """An account."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    folded_name: Mapped[str] = mapped_column(unique=True)  # `Alice` and `alice` are one
    password_hash: Mapped[str]
    created_at: Mapped[int]


class Session(Base):
    """One login. Its token is valid until the row is revoked."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[int]
    expires_at: Mapped[int]
    revoked_at: Mapped[int | None]


class Terminal(Base):
    """One terminal, open or closed: its user and its times."""

    __tablename__ = "terminals"
    __table_args__ = (Index("terminals_open", "closed_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    created_at: Mapped[int]
    closed_at: Mapped[int | None]
    reason: Mapped[str | None]


def open_database(path: Path) -> AsyncEngine:
    """The engine. A write waits five seconds for another writer; a crash loses nothing that was committed."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": 5})

    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection, _record) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    return engine
