"""Bytes of a line become a JSON object, or an error that says why not."""

import json
import math
from typing import Any, Final, NoReturn

from penstock_producer.batch.reading.line import BadLine

_CODE: Final = "invalid_json_line"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits} is too large")
    return value


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def json_object(raw: bytes) -> dict[str, Any]:
    """Read a line. Raises BadLine (invalid_json_line)."""
    try:
        values = _DECODER.decode(raw.decode())
    except UnicodeDecodeError as error:
        raise BadLine(
            _CODE, f"the line is not UTF-8 (byte {error.start + 1}); write the file as UTF-8"
        ) from None
    except json.JSONDecodeError as error:
        raise BadLine(_CODE, f"the line is not JSON: {error.msg}, column {error.colno}") from None
    except ValueError as error:
        raise BadLine(_CODE, f"the line cannot be read: {error}") from None
    except RecursionError:
        raise BadLine(_CODE, "the line is nested too deeply") from None
    if not isinstance(values, dict):
        raise BadLine(_CODE, "the line is no JSON object; write one {...} on each line")
    return values
