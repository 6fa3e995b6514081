"""Notes: a small API on a database, served by several processes."""

import os
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel, Field
from sqlalchemy import insert, select, text

from .database import connect, notes

app = FastAPI(title="notes")
engine = connect()


class Note(BaseModel):
    text: str = Field(min_length=1, max_length=200)


@app.get("/health")
def health():
    """Answers when the database does."""
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    return {"status": "ok"}


@app.get("/release")
async def release():
    """The release and the process that answered."""
    return {"release": Path.cwd().name, "pid": os.getpid(), "server": os.getppid()}


@app.get("/notes")
def newest():
    with engine.connect() as connection:
        rows = connection.execute(select(notes).order_by(notes.c.id.desc()).limit(20))
        return [dict(row._mapping) for row in rows]


@app.post("/notes", status_code=201)
def write(note: Note):
    with engine.begin() as connection:
        number = connection.execute(insert(notes).values(text=note.text)).inserted_primary_key[0]
    return {"id": number}
