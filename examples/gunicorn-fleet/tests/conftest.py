"""A database for the tests, made by the migrations."""

import os
import tempfile
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

ROOT = Path(__file__).resolve().parents[1]
folder = tempfile.TemporaryDirectory()
# Before the application is imported: it opens the database then.
os.environ["DATABASE"] = f"{folder.name}/test.db"


@pytest.fixture(scope="session")
def alembic():
    return Config(ROOT / "alembic.ini")


@pytest.fixture(autouse=True)
def database(alembic):
    command.upgrade(alembic, "head")
    yield
    command.downgrade(alembic, "base")
