"""The files on the volume: the database and the secret that signs tokens. Prepared once, before anything runs.

A volume that cannot be written is the commonest mistake of a first `docker run`, so it is found here, by trying,
and told in one line. Everything made here is for the backend's user alone. Next: `database.py`.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
from pathlib import Path

from .settings import Settings, SetupError

log = logging.getLogger("uvicorn.error")

SHORTEST_SECRET = 32


def prepare(settings: Settings) -> str:
    """Creates missing files, tests the database, and returns the secret."""
    os.umask(0o077)
    _make_folder(settings.database.parent)
    _try_database(settings.database)
    if settings.secret_is_given:
        return _given_secret(settings.secret)
    _make_folder(settings.secret.parent)
    return _own_secret(settings.secret)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SetupError(f"cannot make the folder `{folder}`: {_reason(error)}; {_remedy(folder)}") from None


def _try_database(path: Path) -> None:
    """Takes the lock for writing: this is what a read-only file system, a foreign owner and a full disk refuse."""
    try:
        with sqlite3.connect(path, timeout=5) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("PRAGMA user_version = 1")
        connection.close()
    except sqlite3.Error as error:
        raise SetupError(f"cannot write the database `{path}`: {error}; {_remedy(path)}") from None


def _given_secret(path: Path) -> str:
    try:
        text = path.read_text().strip()
        open_to_others = path.stat().st_mode & 0o007
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"cannot read JWT_SECRET_FILE=`{path}`: {_reason(error)}") from None
    if open_to_others:
        log.warning("the secret `%s` is open to every user, the shells among them: chmod o= it", path)
    return _long_enough(text, path)


def _own_secret(path: Path) -> str:
    """The one on the volume, made at the first start: written under another name first, so that a crash leaves no incomplete file."""
    try:
        if not path.exists():
            beside = path.with_name(f"{path.name}.{os.getpid()}")
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(48) + "\n")
                file.flush()
                os.fsync(file.fileno())
            beside.rename(path)
        path.chmod(0o600)
        return _long_enough(path.read_text().strip(), path)
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"cannot keep the secret `{path}`: {_reason(error)}; {_remedy(path)}") from None


def _long_enough(text: str, path: Path) -> str:
    if len(text) >= SHORTEST_SECRET:
        return text
    raise SetupError(
        f"cannot use the secret `{path}`: it has {len(text)} characters, fewer than {SHORTEST_SECRET}; "
        f"make one with `openssl rand -base64 48 > {path}`"
    )


def _remedy(path: Path) -> str:
    """What to do about a place that is not writable: it names the backend's user and the owner of the folder."""
    there = path
    # Not `Path.exists`: it raises where a folder may not be looked into.
    while not os.path.exists(there):
        there = there.parent
    owner = there.stat()
    me = f"{os.geteuid()}:{os.getegid()}"
    if os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0)):
        return f"the place itself is writable by {me}: look at the space left and at what else is in it"
    try:
        read_only = bool(os.statvfs(there).f_flag & os.ST_RDONLY)
    except OSError:
        read_only = False
    if read_only:
        return f"`{there}` is on a read-only file system: mount a volume there, or set DATA_DIR to a writable place"
    # As root the container would not run the backend as root.
    as_owner = f"start the container with --user {owner.st_uid}:{owner.st_gid}, " if owner.st_uid else ""
    return (
        f"the backend is {me}, `{there}` is {owner.st_uid}:{owner.st_gid} mode {owner.st_mode & 0o7777:o}: "
        f"`chown -R {me}` the volume, {as_owner}or set DATA_DIR to a writable place"
    )


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
