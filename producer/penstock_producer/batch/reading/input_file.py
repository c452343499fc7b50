"""A file that is read front to back, plain or compressed; the first bytes tell which."""

import gzip
import hashlib
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final

from penstock_shared.errors import InvalidBatch, InvalidRequest

DAMAGE: Final = (EOFError, zlib.error, gzip.BadGzipFile)  # of a compressed file, while it is read
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BLOCK_BYTES: Final = 256 * 1024
# A compressed byte can become 40,000: what one read of zstd may take in memory is bounded by this.
_ZSTD_BYTES: Final = 2 * 1024


class InputFile:
    """A file of the input. Raises InvalidRequest when it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.size_bytes = path.stat().st_size
            with path.open("rb") as file:
                self._magic = file.read(4)
        except OSError as error:
            raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from None
        self._raw: BinaryIO | None = None

    def open(self) -> BinaryIO:
        """The content from its beginning, decompressed.

        Reading raises one of DAMAGE where a compressed file is damaged or cut off.
        """
        raw = self.path.open("rb", buffering=0)
        self._raw = raw
        blocks = io.BufferedReader(raw, _BLOCK_BYTES)
        if self._magic.startswith(_GZIP):
            return _Closing(_Gzip(fileobj=blocks, mode="rb"), blocks)
        if self._magic == _ZSTD:
            return _Closing(_Zstandard(blocks), blocks)
        return blocks

    def position(self) -> float:
        """Share of the file's own bytes that the newest reading has taken, 0 to 1."""
        if self._raw is None:
            return 0.0
        if self._raw.closed or not self.size_bytes:
            return 1.0
        return min(1.0, self._raw.tell() / self.size_bytes)

    def digest(self) -> str:
        """The SHA-256 of the file's own bytes, in hexadecimal digits."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class _Closing(io.BufferedReader):
    """Closes the compressed file with the decompressed one."""

    def __init__(self, unpacked: Any, packed: BinaryIO) -> None:
        super().__init__(unpacked, _BLOCK_BYTES)
        self._packed = packed

    def close(self) -> None:
        """Close both."""
        super().close()
        self._packed.close()


class _Gzip(gzip.GzipFile):
    """Gives all that stands before damage, and only then raises."""

    def readinto(self, buffer: Any) -> int:
        """Fill what one read of the compressed file gives."""
        block = self.read1(len(buffer))
        buffer[: len(block)] = block
        return len(block)


class _Zstandard(io.RawIOBase):
    """Frames of zstd one after the other. A frame that is cut off raises EOFError."""

    def __init__(self, packed: BinaryIO) -> None:
        try:
            import zstandard
        except ImportError:
            raise missing_extra("a .zst file", "zstandard") from None
        self._packed = packed
        self._unpacker = zstandard.ZstdDecompressor(max_window_size=2**27)
        self._wrong = zstandard.ZstdError
        self._frame = self._unpacker.decompressobj()
        self._is_inside = True
        self._unused = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """True, always."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill as much of the buffer as one compressed block gives."""
        while not self._ready:
            block = self._unused or self._packed.read(_ZSTD_BYTES)
            if not block:
                if self._is_inside:
                    raise EOFError("the file ends in the middle of a frame")
                return 0
            self._ready = memoryview(self._unpack(block))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _unpack(self, block: bytes) -> bytes:
        if not self._is_inside:
            self._frame = self._unpacker.decompressobj()
        try:
            unpacked: bytes = self._frame.decompress(block)
        except self._wrong as error:
            raise EOFError(str(error)) from None
        self._is_inside = not self._frame.eof
        self._unused = self._frame.unused_data if self._frame.eof else b""
        return unpacked


def damaged(error: BaseException, last: int) -> InvalidBatch:
    """The refusal of a file of which nobody knows how much is missing.

    ``last`` is the number of the last line that could be read for sure.
    """
    reason = str(error).partition("\n")[0][:300]
    return InvalidBatch(
        f"the file is damaged or cut off after line {last:,}, and nobody knows what is missing "
        f"({reason}); make it again",
        reason="invalid_request",
        line=last + 1,
    )


def empty(label: str) -> InvalidBatch:
    """The refusal of an input without a line."""
    return InvalidBatch(f"empty_file: {label} has no lines", reason="empty_file")


def missing_extra(what: str, package: str) -> InvalidRequest:
    """The error where a package of the extra ``batch`` is not installed."""
    return InvalidRequest(f"{what} needs the package {package}; pip install 'penstock[batch]'")
