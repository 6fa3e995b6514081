"""The environment of alembic: an upgrade is one transaction, so that one that fails leaves the database as it was."""

from logging.config import fileConfig

from alembic import context
from sqlalchemy import event

from app.database import connect, metadata

fileConfig(context.config.config_file_name)
engine = connect()


# Python's driver would end a transaction before DDL: it is put aside, and BEGIN is sent by hand.
@event.listens_for(engine, "connect")
def leave_transactions_alone(connection, _record):
    connection.isolation_level = None


@event.listens_for(engine, "begin")
def begin(connection):
    connection.exec_driver_sql("BEGIN IMMEDIATE")


with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=metadata, transactional_ddl=True, render_as_batch=True
    )
    with context.begin_transaction():
        context.run_migrations()
