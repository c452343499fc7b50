"""Real services for the tests: started on free loopback ports, ended with the session."""

from collections.abc import Iterable
from typing import Final, Self

import psycopg
from psycopg import sql

from penstock_shared.stack import postgres_server

_FAST: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresServer(postgres_server.PostgresServer):
    """A PostgreSQL that need not survive anything, and the databases that were made in it."""

    def __init__(self) -> None:
        super().__init__(options=_FAST)
        self.made: set[str] = set()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.remove()

    def create(self, database: str, *, template: str = "template1") -> str:
        """Make a database like another; returns its URL."""
        url = super().create(database, template=template)
        self.made.add(database)
        return url

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.command("DROP DATABASE {} WITH (FORCE)", database)
        self.made.discard(database)

    def empty(self, database: str, tables: Iterable[str]) -> None:
        """Remove all rows; ids start from one again."""
        names = sql.SQL(", ").join(map(sql.Identifier, tables))
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(names))
