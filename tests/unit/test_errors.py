"""Errors speak to people, to scripts and to HTTP, each in its own way."""

from collections.abc import Iterator
from http import HTTPStatus

import pytest

from penstock_shared import errors
from penstock_shared.errors import PenstockError


def _tree(root: type[PenstockError]) -> Iterator[type[PenstockError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _tree(child)


TREE = list(_tree(PenstockError))


@pytest.mark.parametrize("error", TREE)
def test_every_error_has_a_code_an_http_status_an_exit_status_and_a_line(
    error: type[PenstockError],
) -> None:
    assert error.code.replace("_", "").isalpha()
    assert HTTPStatus(error.http_status) >= 400
    assert 0 < error.exit_status < 126
    assert error.__doc__
    assert "\n" not in error.__doc__.partition(".")[0]


def test_the_codes_are_unique() -> None:
    codes = [error.code for error in TREE]
    assert len(codes) == len(set(codes))


def test_every_error_stands_in_the_drawing_of_the_tree() -> None:
    drawn = set((errors.__doc__ or "").split())
    assert {error.__name__ for error in TREE} <= drawn


@pytest.mark.parametrize("error", [e for e in TREE if e.retryable])
def test_what_can_be_tried_again_has_a_temporary_exit_status(error: type[PenstockError]) -> None:
    assert error.exit_status in {69, 75}
    assert error.http_status in {408, 429, 503}


def test_a_timeout_of_ours_is_a_timeout_for_everybody() -> None:
    with pytest.raises(TimeoutError):
        raise errors.ResultTimeout("the wait is over")
