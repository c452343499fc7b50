"""Outputs of JSON Lines: reading them again, up to where a machine stopped."""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

from pydantic_core import from_json

from penstock_producer.batch.layouts import Foreign, Piece, Written

_LONGEST_BYTES: Final = 256 * 1024 * 1024
_NUL: Final = b"\x00"


def json_pieces(
    stream: BinaryIO, recognise: Callable[[dict[str, Any]], Written]
) -> Iterator[Piece]:
    """Each complete line; ``recognise`` raises KeyError, TypeError, ValueError or Foreign."""
    end = 0
    while raw := stream.readline(_LONGEST_BYTES):
        if _NUL in raw or not raw.endswith(b"\n"):
            return
        end += len(raw)
        try:
            yield Piece(end, recognise(from_json(raw)))
        except (KeyError, TypeError, ValueError):
            raise Foreign("it is no line that Penstock wrote") from None
