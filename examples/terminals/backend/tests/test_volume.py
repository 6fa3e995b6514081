"""The volume: its files, their survival, and the message where it cannot be written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from conftest import ROOT, Service, rights_can_be_dropped, running


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def failure(service: Service) -> str:
    """The one line of a backend that does not start."""
    assert service.ended() == 1, service.text()
    (line,) = service.lines
    assert line.startswith("terminals: cannot "), line
    return line


def test_the_secret_is_made_once_and_is_for_the_backend_alone(start, tmp_path: Path) -> None:
    service = start()
    token = service.register("alice")
    secret = tmp_path / "data" / "secret" / "jwt.key"
    kept = secret.read_text()
    assert (mode(secret), mode(secret.parent)) == (0o600, 0o700)
    assert len(kept) > 60
    assert mode(tmp_path / "data" / "db" / "app.db") == 0o600
    service.stop()
    secret.chmod(0o644)
    with start().http(token) as http:
        assert http.get("/me").json()["username"] == "alice"
    assert (secret.read_text(), mode(secret)) == (kept, 0o600)


def test_users_and_sessions_survive_a_kill(start) -> None:
    service = start()
    token = service.register("alice")
    service.process.kill()
    service.ended()
    with start().http(token) as http:
        assert http.get("/me").status_code == 200


def test_a_secret_can_be_given_by_a_file(start, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("a secret from elsewhere, long enough\n")
    given.chmod(0o600)
    service = start(JWT_SECRET_FILE=str(given))
    assert service.register("alice")
    assert not (tmp_path / "data" / "secret").exists()


def test_a_given_secret_that_everybody_can_read_is_warned_about(start, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("a secret from elsewhere, long enough\n")
    given.chmod(0o644)
    service = start(JWT_SECRET_FILE=str(given))
    assert service.url
    assert f"the secret `{given}` is open to every user" in service.text()


def test_a_given_secret_that_is_missing_or_short_is_one_clear_line(start, tmp_path: Path) -> None:
    given = tmp_path / "given"
    assert f"cannot read JWT_SECRET_FILE=`{given}`: No such file" in failure(start(JWT_SECRET_FILE=str(given)))
    given.write_text("short\n")
    given.chmod(0o600)
    assert "5 characters, fewer than 32; make one with `openssl rand" in failure(start(JWT_SECRET_FILE=str(given)))


def test_a_volume_that_is_not_writable_is_one_clear_line(tmp_path: Path) -> None:
    rights_can_be_dropped()
    volume = tmp_path / "data"
    volume.mkdir()
    if ROOT:
        os.chown(volume, 65534, 65534)
    volume.chmod(0o755 if ROOT else 0o555)
    with running(volume, rightless=True) as service:
        line = failure(service)
    owner = volume.stat()
    assert f"cannot make the folder `{volume}/db`: Permission denied" in line
    assert f"`{volume}` is {owner.st_uid}:{owner.st_gid}" in line and "chown -R" in line


def test_a_database_of_somebody_else_is_one_clear_line(start, tmp_path: Path) -> None:
    rights_can_be_dropped()
    database = tmp_path / "data" / "db" / "app.db"
    start().register("alice")
    start().stop()
    if ROOT:
        os.chown(database, 65534, 65534)
    database.chmod(0o444)
    line = failure(start(rightless=True))
    assert f"cannot write the database `{database}`" in line and "chown -R" in line


def test_a_volume_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with running(tmp_path / "data") as service:
        assert "cannot make the folder" in failure(service)


@pytest.mark.parametrize(
    "setting,said",
    [
        ({"TERMINALS_PER_USER": "many"}, "cannot use TERMINALS_PER_USER=`many`: it takes a number from 1 to 64"),
        ({"TERMINALS_PER_USER": "0"}, "it takes a number from 1 to 64"),
        ({"SHELL_ISOLATION": "strict"}, "cannot use SHELL_ISOLATION=`strict`: it is one of auto, user, landlock, none"),
        ({"REGISTRATION": "no"}, "it is one of open, closed"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(start, setting: dict, said: str) -> None:
    assert said in failure(start(**setting))
