"""Accounts, tokens and their revocation, over HTTP."""

from __future__ import annotations

import sqlite3
import time

import jwt
import pytest
from conftest import PASSWORD, Service


def secret_of(service: Service) -> str:
    return (service.data / "secret" / "jwt.key").read_text().strip()


def test_registers_logs_in_and_says_who_it_is(service: Service) -> None:
    token = service.register("alice")
    with service.http(token) as http:
        me = http.get("/me").json()
    assert me["username"] == "alice"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 24 * 3600


def test_a_name_is_taken_once_whatever_its_case(service: Service) -> None:
    service.register("Bob")
    with service.http() as http:
        for name in ("Bob", "bob", "BOB"):
            answer = http.post("/register", json={"username": name, "password": PASSWORD})
            assert (answer.status_code, answer.json()["detail"]) == (409, f"the name `{name}` is taken")
    assert service.log_in("bOB")


@pytest.mark.parametrize("name", ["", "ab", "a" * 33, "-ab", "a b c", "a/../b", "a\nbc", "äöü", "root;id"])
def test_a_bad_name_is_refused_in_words(service: Service, name: str) -> None:
    with service.http() as http:
        answer = http.post("/register", json={"username": name, "password": PASSWORD})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("a name has 3 to 32")


@pytest.mark.parametrize("password", ["", "1234567", "x" * 73, "ü" * 40])
def test_a_password_that_is_too_short_or_longer_than_what_is_compared_is_refused(
    service: Service, password: str
) -> None:
    with service.http() as http:
        answer = http.post("/register", json={"username": "dora", "password": password})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("a password has at least 8")


def test_a_wrong_name_and_a_wrong_password_are_not_told_apart(service: Service) -> None:
    service.register("carol")
    with service.http() as http:
        wrong = [
            http.post("/login", json={"username": name, "password": password})
            for name, password in [("carol", "not it at all"), ("nobody", PASSWORD), ("carol", PASSWORD + "x" * 80)]
        ]
    assert {(answer.status_code, answer.json()["detail"]) for answer in wrong} == {
        (401, "the name or the password is wrong")
    }


def test_passwords_are_kept_as_bcrypt_alone(service: Service) -> None:
    service.register("dave")
    with sqlite3.connect(service.data / "db" / "app.db") as database:
        (kept,) = database.execute("SELECT password_hash FROM users WHERE name = 'dave'").fetchone()
    assert kept.startswith("$2b$") and PASSWORD not in kept


def test_a_logout_ends_the_token_and_no_other(service: Service) -> None:
    first, second = service.register("erin"), service.log_in("erin")
    with service.http(first) as http:
        assert http.post("/logout").json() == {"ended": 1}
        refused = http.get("/me")
        assert (refused.status_code, refused.json()["detail"]) == (401, "the session has ended: log in again")
    with service.http(second) as http:
        assert http.get("/me").status_code == 200


def test_a_logout_everywhere_ends_all_of_the_users_tokens(service: Service) -> None:
    mine, other = [service.register("frank"), service.log_in("frank")], service.register("grace")
    with service.http(mine[0]) as http:
        assert http.post("/logout", json={"everywhere": True}).json() == {"ended": 2}
    for token, status in [(mine[0], 401), (mine[1], 401), (other, 200)]:
        with service.http(token) as http:
            assert http.get("/me").status_code == status


def test_a_token_that_was_not_signed_here_is_refused(service: Service) -> None:
    token = service.register("heidi")
    claims = jwt.decode(token, options={"verify_signature": False})
    secret = secret_of(service)
    forged = [
        jwt.encode(claims, "another secret, which is long enough", algorithm="HS256"),
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode({**claims, "exp": int(time.time()) - 1}, secret, algorithm="HS256"),
        jwt.encode({**claims, "sub": "999999"}, secret, algorithm="HS256"),
        jwt.encode({**claims, "sub": "x"}, secret, algorithm="HS256"),
        jwt.encode({**claims, "jti": "unknown"}, secret, algorithm="HS256"),
        jwt.encode({"sub": claims["sub"], "jti": claims["jti"]}, secret, algorithm="HS256"),
        "garbage",
    ]
    for bad in forged:
        with service.http(bad) as http:
            assert http.get("/me").status_code == 401, bad
    with service.http() as http:
        assert http.get("/me").status_code == 401


def test_registration_can_be_closed(start) -> None:
    with start(REGISTRATION="closed").http() as http:
        answer = http.post("/register", json={"username": "ivan", "password": PASSWORD})
    assert answer.status_code == 403


def test_health_is_that_of_the_database(start) -> None:
    service = start()
    with service.http() as http:
        assert (http.get("/health").status_code, http.get("/health").json()) == (200, {"status": "ok"})
        with sqlite3.connect(service.data / "db" / "app.db") as database:
            database.execute("DROP TABLE users")
        answer = http.get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "the database does not answer"})
