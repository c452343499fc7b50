"""One pass over an input before anything is spent: what is wrong, and how much work it is."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final, NamedTuple

from penstock_producer.batch.inputs import Input
from penstock_producer.batch.line_set import LineSet
from penstock_producer.batch.reading import Line, Routed
from penstock_producer.batch.reading.input_file import empty
from penstock_shared.errors import InvalidBatch
from penstock_shared.settings import Settings

DUPLICATE: Final = "duplicate_custom_id"
MODIFIED: Final = "input_modified"
_KEPT_ERRORS: Final = 100
_PROGRESS_LINES: Final = 500

OnProgress = Callable[[float | None, int], None]


class NumberedError(NamedTuple):
    """What is wrong with a line; as LineError."""

    line: int
    custom_id: str | None
    code: str
    message: str
    param: str | None


class TierLoad(NamedTuple):
    """Lines for one tier: their prompts' tokens, estimated, and how long answers may become."""

    lines: int = 0
    prompt_tokens: int = 0
    max_answer_tokens: int = 0


class Preparation(NamedTuple):
    """What one pass found. ``total`` counts wrong lines too, ``errors`` are the first hundred.

    ``digest`` is of the input and how it is read. ``duplicates`` are lines with a custom_id that
    an earlier one had.
    """

    total: int
    valid: int
    digest: str
    errors: tuple[NumberedError, ...]
    error_count: int
    tiers: dict[str, TierLoad]
    endpoint: str | None
    duplicates: LineSet


def prepare(
    source: Input, settings: Settings, *, on_progress: OnProgress | None = None
) -> Preparation:
    """Read everything once; memory does not grow with the input.

    ``on_progress`` hears the share that was read, or None, and the lines. Raises InvalidBatch with
    the reason empty_file when there is no line, or input_modified when somebody wrote to it
    meanwhile, and InvalidRequest for what is wrong with all.
    """
    found = _Findings(settings)
    for line in source.checked_lines():
        found.add(line)
        if on_progress is not None and found.total % _PROGRESS_LINES == 0:
            on_progress(source.position(), found.total)
    if not found.total:
        raise empty(source.label)
    preparation = found.preparation(digest_of(source), source.endpoint)
    if not source.stamp.holds():
        raise InvalidBatch(
            f"{MODIFIED}: {source.label} has changed while it was checked; nothing was accepted; "
            "run it again when nobody writes to it",
            reason=MODIFIED,
        )
    return preparation


def reading_of(source: Input) -> dict[str, Any] | None:
    """How an input is read, as JSON has it."""
    if source.options is None:
        return None
    return {**asdict(source.options), "sampling": dict(source.options.sampling)}


def digest_of(source: Input) -> str:
    """SHA-256 of the input, how it is cut and how it is read."""
    how = {"content": source.digest(), "kind": source.kind, "reading": reading_of(source)}
    return hashlib.sha256(json.dumps(how, sort_keys=True, default=str).encode()).hexdigest()


class _Findings:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loads: dict[str, list[int]] = {}
        self._errors: list[NumberedError] = []
        self._error_count = 0
        self._duplicates = LineSet()
        self.total = 0

    def add(self, line: Line) -> None:
        """Count one line."""
        self.total += 1
        if line.error is not None:
            self._error_count += 1
            if line.error.code == DUPLICATE:
                self._duplicates.add(line.number)
            if len(self._errors) < _KEPT_ERRORS:
                self._errors.append(NumberedError(line.number, line.custom_id, *line.error))
        elif line.routed is not None:
            self._count(line.routed)

    def preparation(self, digest: str, endpoint: str) -> Preparation:
        """All that was found."""
        return Preparation(
            total=self.total,
            valid=self.total - self._error_count,
            digest=digest,
            errors=tuple(self._errors),
            error_count=self._error_count,
            tiers={tier: TierLoad(*load) for tier, load in self._loads.items()},
            endpoint=endpoint,
            duplicates=self._duplicates,
        )

    def _count(self, routed: Routed) -> None:
        request = routed.request
        load = self._loads.setdefault(routed.route.tier, [0, 0, 0])
        load[0] += 1
        load[1] += round(len(request.text.encode()) / self._settings.routing.bytes_per_token)
        load[2] += request.sampling.max_tokens
