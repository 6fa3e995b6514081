"""What deploy.sh runs before a release becomes the current one."""

from fastapi.testclient import TestClient

from app.main import app

client = TestClient(app)


def test_a_note_is_stored_and_listed_first():
    for text in "first", "second":
        assert client.post("/notes", json={"text": text}).status_code == 201
    assert [note["text"] for note in client.get("/notes").json()] == ["second", "first"]


def test_an_empty_note_is_refused():
    assert client.post("/notes", json={"text": ""}).status_code == 422
    assert client.get("/notes").json() == []


def test_health_asks_the_database():
    assert client.get("/health").json() == {"status": "ok"}
