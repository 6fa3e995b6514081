"""The database: SQLite in the file that `DATABASE` names. The tables are made by the migrations alone."""

import os

from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, create_engine, event, func

metadata = MetaData()
notes = Table(
    "notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("text", String(200), nullable=False),
    Column("written", DateTime, server_default=func.now(), nullable=False),
)


def connect():
    """Returns the engine. Readers do not wait for the writer (WAL), and writers wait for each other."""
    engine = create_engine(f"sqlite:///{os.environ['DATABASE']}", connect_args={"timeout": 10})

    @event.listens_for(engine, "connect")
    def set_up(connection, _record):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    return engine
