"""What a checkpoint's safetensors files hold, read from their headers or their index alone."""

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Final, NamedTuple

from penstock_shared.errors import InvalidRequest

_INDEX: Final = "model.safetensors.index.json"
_MOST_HEADER_BYTES: Final = 100_000_000  # the format's own bound
_BYTES: Final = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


class Checkpoint(NamedTuple):
    """Size of a checkpoint."""

    stored_bytes: int
    parameters: int | None  # None where numbers are packed, so that they cannot be counted


def read_checkpoint(folder: Path, dtype_bytes: int, *, is_quantized: bool) -> Checkpoint | None:
    """The checkpoint in a folder; None where there is none. Raises InvalidRequest.

    ``dtype_bytes`` is for an index whose files are not there: it knows the bytes only.
    """
    paths = _parts(folder)
    if paths and all(path.is_file() for path in paths):
        return _of_headers([_header(path) for path in paths])
    index = folder / _INDEX
    if not index.is_file():
        return None
    stored = _json(index).get("metadata", {}).get("total_size")
    if not isinstance(stored, int):
        return None
    return Checkpoint(stored, None if is_quantized else stored // dtype_bytes)


def _parts(folder: Path) -> list[Path]:
    """The files that the index names, so that a second copy beside them does not count."""
    index = folder / _INDEX
    if index.is_file():
        return [folder / name for name in sorted(set(_json(index).get("weight_map", {}).values()))]
    return sorted(folder.glob("*.safetensors"))


def _of_headers(headers: list[Mapping[str, Any]]) -> Checkpoint:
    tensors = [
        value for header in headers for key, value in header.items() if key != "__metadata__"
    ]
    stored = sum(tensor["data_offsets"][1] - tensor["data_offsets"][0] for tensor in tensors)
    if any(tensor["dtype"] not in _BYTES for tensor in tensors):
        return Checkpoint(stored, None)
    return Checkpoint(stored, sum(prod(tensor["shape"]) for tensor in tensors))


def _header(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else _MOST_HEADER_BYTES + 1  # noqa: PLR2004
        text = file.read(size) if size <= _MOST_HEADER_BYTES else b""
    try:
        header = json.loads(text)
    except ValueError:
        raise InvalidRequest(f"{path} is no safetensors file") from None
    return dict(header)


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from None
