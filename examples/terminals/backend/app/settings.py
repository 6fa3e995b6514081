"""Every setting, from the environment, checked once. No other file reads the environment.

What is wrong is a `SetupError`: one line that says what to do. Next: `volume.py`, which prepares the files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

Choice = TypeVar("Choice")


class SetupError(Exception):
    """Why the backend cannot start, in one line for the operator."""


class Isolation(StrEnum):
    """The isolation of the shells from the backend and from other users' shells."""

    AUTO = "auto"  # USER where the backend may change users, else LANDLOCK where the kernel has it, else no shell
    USER = "user"  # a separate user number for the shells of each account
    LANDLOCK = "landlock"  # the backend's own user, in a Landlock domain for each terminal
    NONE = "none"  # the backend's own user, and nothing else: for a trusted circle


@dataclass(frozen=True)
class Settings:
    """The settings; README.md has the table."""

    data: Path = Path("/app/data")
    database: Path = Path("/app/data/db/app.db")
    secret: Path = Path("/app/data/secret/jwt.key")
    secret_is_given: bool = False
    registration: bool = True
    token_hours: int = 24
    terminals_per_user: int = 4
    shell: str = "/bin/bash"
    isolation: Isolation = Isolation.AUTO
    first_shell_uid: int = 10100
    shell_home: Path = Path("/tmp")
    shell_processes: int = 1024
    bcrypt_rounds: int = 12

    @staticmethod
    def read(environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings of this environment. An empty variable counts as unset, as in `${NAME:-default}`."""
        given = {name: value for name, value in environment.items() if value}
        data = Path(given.get("DATA_DIR", "/app/data"))
        default = Settings()
        return Settings(
            data=data,
            database=Path(given.get("DATABASE_PATH", data / "db" / "app.db")),
            secret=Path(given.get("JWT_SECRET_FILE", data / "secret" / "jwt.key")),
            secret_is_given="JWT_SECRET_FILE" in given,
            registration=_one_of(given, "REGISTRATION", {"open": True, "closed": False}, default.registration),
            token_hours=_number(given, "TOKEN_HOURS", default.token_hours, 1, 24 * 365),
            terminals_per_user=_number(given, "TERMINALS_PER_USER", default.terminals_per_user, 1, 64),
            shell=given.get("TERMINAL_SHELL", _first_shell()),
            isolation=_one_of(given, "SHELL_ISOLATION", {each.value: each for each in Isolation}, default.isolation),
            first_shell_uid=_number(given, "SHELL_FIRST_UID", default.first_shell_uid, 1, 2**31 - 2**24),
            shell_home=Path(given.get("SHELL_HOME", default.shell_home)),
            shell_processes=_number(given, "SHELL_PROCESSES", default.shell_processes, 8, 1_000_000),
            bcrypt_rounds=_number(given, "BCRYPT_ROUNDS", default.bcrypt_rounds, 4, 16),
        )


def _number(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = given.get(name, str(default))
    if text.isascii() and text.isdigit() and least <= int(text) <= most:
        return int(text)
    raise SetupError(f"cannot use {name}=`{text}`: it takes a number from {least} to {most}")


def _one_of(given: Mapping[str, str], name: str, choices: Mapping[str, Choice], default: Choice) -> Choice:
    text = given.get(name)
    if text is None:
        return default
    if text in choices:
        return choices[text]
    raise SetupError(f"cannot use {name}=`{text}`: it is one of {', '.join(choices)}")


def _first_shell() -> str:
    return next((path for path in ("/bin/bash", "/usr/bin/bash") if os.access(path, os.X_OK)), "/bin/sh")
