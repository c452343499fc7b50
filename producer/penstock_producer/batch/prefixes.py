"""Lines with the same long beginning belong together: the engine's prefix cache serves them."""

import hashlib
from collections import OrderedDict
from typing import Final

from penstock_shared.request import Request

_SYSTEM_CHARS: Final = 200  # a shorter system text saves nothing worth an order
_REST_CHARS: Final = 1_500
_REST_KEY_CHARS: Final = 1_000
_MAX_KEYS: Final = 50_000


class Prefixes:
    """Ranks lines so that, in the order of ranks, those with one prefix follow each other.

    It remembers the 50,000 prefixes that were used last.
    """

    def __init__(self, max_keys: int = _MAX_KEYS) -> None:
        self._max_keys = max_keys
        self._first: OrderedDict[bytes, int] = OrderedDict()

    def rank(self, number: int, tier: str, request: Request) -> int:
        """The number of the first line with this line's prefix; without one, its own number."""
        key = _key(tier, request)
        if key is None:
            return number
        first = self._first.setdefault(key, number)
        self._first.move_to_end(key)
        if len(self._first) > self._max_keys:
            self._first.popitem(last=False)
        return first


def _key(tier: str, request: Request) -> bytes | None:
    system = "\n".join(m.content for m in request.messages if m.role == "system")
    rest = "\n".join(m.content for m in request.messages if m.role != "system")
    parts = (
        system if len(system) >= _SYSTEM_CHARS else "",
        rest[:_REST_KEY_CHARS] if len(rest) >= _REST_CHARS else "",
    )
    if not any(parts):
        return None
    # Lengths keep what stands in one part apart from the other.
    text = f"{len(tier)} {len(parts[0])} {tier}{parts[0]}{parts[1]}"
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
