"""One stack for most acceptance tests: two tiers of real vLLM on a PostgreSQL ledger."""

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.acceptance.command import Home, no_leftovers
from tests.services import PostgresServer

_ENDS_S = 1_200  # engines load in these tests, and a slow machine is no failure


# Started in the background of a shell, they would ignore Ctrl-C, and so would all they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Tests of this folder may take longer: what they wait for has bounds of its own."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(_ENDS_S))


@pytest.fixture
def celery_garbage() -> Iterator[None]:
    """Celery leaves a chord's subscription, with its socket, to the garbage collector."""
    with no_leftovers():
        yield


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Home]:
    """A home on which small and large run."""
    folder = tmp_path_factory.mktemp("acceptance") / "home"
    url = postgres.create("acceptance")
    home = Home(
        folder,
        PENSTOCK_LEDGER_URL=url,
        PENSTOCK_WORKER__LEASE_S="6",
        PENSTOCK_WORKER__SWEEP_S="1",
        PENSTOCK_WORKER__DRAIN_S="8",
    )
    with home.up("small", "large"):
        yield home
