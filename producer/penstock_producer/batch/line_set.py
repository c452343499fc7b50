"""A set of line numbers, one bit for each: a million lines are 122 KiB."""

from collections.abc import Iterator
from typing import Final

_BITS: Final = tuple(1 << place for place in range(8))


class LineSet:
    """Numbers from 0 on; it grows with the largest of them."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, number: int) -> bool:
        place = number >> 3
        return place < len(self._bits) and bool(self._bits[place] & _BITS[number & 7])

    def __iter__(self) -> Iterator[int]:
        """The numbers in their order."""
        for place, bits in enumerate(self._bits):
            if bits:
                yield from (place * 8 + bit for bit in range(8) if bits & _BITS[bit])

    def add(self, number: int) -> bool:
        """Add a number; False when it was there."""
        if number in self:
            return False
        place = number >> 3
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 + (place >> 3) - len(self._bits)))
        self._bits[place] |= _BITS[number & 7]
        self._count += 1
        return True

    def discard(self, number: int) -> bool:
        """Take a number out; False when it was not there."""
        if number not in self:
            return False
        self._bits[number >> 3] &= ~_BITS[number & 7]
        self._count -= 1
        return True
