"""A batch on each kind of ledger."""

from collections.abc import Callable

import pytest

from penstock_shared.settings import Settings


@pytest.fixture
def settings(make_settings: Callable[..., Settings], ledger_url: str) -> Settings:
    return make_settings(ledger_url=ledger_url)
