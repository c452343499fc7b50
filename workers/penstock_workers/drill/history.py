"""The history: what the callers of the drill saw, as they wrote it down outside the system."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from penstock_shared.words import JobState

PLAIN: Final = frozenset({"plain", "long", "poison", "refused", "twin"})  # these are accepted
INVALID: Final = "invalid"
CONFLICT: Final = "conflict"
MISSING: Final = "missing"  # the state of a job that could not be found


class Submitted(NamedTuple):
    """A caller is about to submit this, perhaps not for the first time."""

    client: str
    at_ms: int
    key: str | None
    prompt: str
    kind: str


class Accepted(NamedTuple):
    """A caller was told that this is a job."""

    client: str
    at_ms: int
    key: str | None
    prompt: str
    kind: str
    job_id: str
    is_new: bool


class Refused(NamedTuple):
    """A caller was told that this is no job."""

    client: str
    at_ms: int
    key: str | None
    prompt: str
    kind: str
    code: str


class Unsure(NamedTuple):
    """A caller was not told what became of this."""

    client: str
    at_ms: int
    key: str | None
    prompt: str
    kind: str
    code: str


class Seen(NamedTuple):
    """A caller read a job: the first time when it had ended, the second time at the very end."""

    client: str
    at_ms: int
    job_id: str
    reading: int
    status: str
    digest: str | None
    charge: str | None
    attempts: int

    @property
    def has_ended(self) -> bool:
        """True when the job was in a state that it never leaves."""
        return self.status != MISSING and JobState(self.status).is_terminal


class Trouble(NamedTuple):
    """A caller met an error that Penstock does not raise on purpose."""

    client: str
    at_ms: int
    doing: str
    error: str


class History(NamedTuple):
    """All events of all callers; those of one caller stand in their order."""

    submitted: Sequence[Submitted] = ()
    accepted: Sequence[Accepted] = ()
    refused: Sequence[Refused] = ()
    unsure: Sequence[Unsure] = ()
    seen: Sequence[Seen] = ()
    troubles: Sequence[Trouble] = ()


_KINDS: Final[Mapping[str, type[Any]]] = {
    "submit": Submitted,
    "accepted": Accepted,
    "refused": Refused,
    "unsure": Unsure,
    "ended": Seen,
    "trouble": Trouble,
}


def read_history(paths: Iterable[Path]) -> History:
    """Read the callers' files. A torn last line is left out: whoever wrote it was killed.

    Raises ValueError for any other line that cannot be read.
    """
    found: dict[type[Any], list[Any]] = {kind: [] for kind in _KINDS.values()}
    for path in paths:
        for event in _events(path):
            found[type(event)].append(event)
    return History(*found.values())


def _events(path: Path) -> Iterable[Any]:
    *lines, _torn = path.read_bytes().split(b"\n")  # a whole line has a line end
    for number, line in enumerate(lines, start=1):
        try:
            fields = json.loads(line)
            yield _KINDS[fields.pop("event")](client=path.stem, **fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path}, line {number} is no event of a history") from error
