"""One stack for most acceptance tests: two tiers of real vLLM on a PostgreSQL ledger."""

import gc
import warnings
from collections.abc import Iterator

import pytest

from tests.acceptance.command import Home
from tests.services import PostgresServer


@pytest.fixture
def celery_garbage() -> Iterator[None]:
    """Celery leaves a chord's subscription, with its socket, to the garbage collector."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


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
        PENSTOCK_WORKER__DRAIN_S="4",
    )
    with home.up("small", "large"):
        yield home
