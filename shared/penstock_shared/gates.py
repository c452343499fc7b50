"""Gates: which task types a tier may serve, as an evaluation of its engine found it.

``penstock-worker eval gates`` writes the file, the settings read it, the router obeys.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from penstock_shared.errors import SettingsError
from penstock_shared.tier_settings import TierSettings
from penstock_shared.words import TaskType

GATES_NAME: Final = "gates.json"
DEFAULT_GATES: Final = Path(__file__).with_name("default_gates.json")
_log = logging.getLogger(__name__)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Gate(_Frozen):
    """Whether a tier may serve a task type, and the figures that say why."""

    passed: bool
    why: str


class TierGates(_Frozen):
    """The gates of one tier, and the engine that they were measured on."""

    measured_on: dict[str, Any]
    task_types: dict[TaskType, Gate]


class Gates(_Frozen):
    """The gates of all tiers; scores may be below the reference tier's by ``tolerance``."""

    suite: str
    suite_digest: str
    reference: str
    tolerance: float
    tiers: dict[str, TierGates]


def measured_on(tier: TierSettings) -> dict[str, Any]:
    """What makes gates those of this tier: another model or precision answers otherwise."""
    return {k: v for k, v in tier.identity().items() if k != "max_model_len"}


def read_gates(path: Path) -> Gates:
    """Read a file of gates. Raises SettingsError."""
    try:
        return Gates.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(
            f"{path} cannot be read as gates ({reason}); "
            "write it anew with penstock-worker eval gates"
        ) from None


def in_force(gates: Gates, tiers: Mapping[str, TierSettings]) -> dict[str, dict[TaskType, Gate]]:
    """The gates that count: a tier whose engine was changed since has none until it is measured."""
    return {
        name: measured.task_types
        for name, measured in gates.tiers.items()
        if name in tiers and measured_on(tiers[name]) == measured.measured_on
    }


def warn_of_stale(gates: Gates, tiers: Mapping[str, TierSettings], place: Path) -> None:
    """Log a line when tiers have gates that do not count."""
    stale = sorted((gates.tiers.keys() & tiers.keys()) - in_force(gates, tiers).keys())
    if stale:
        _log.warning(
            "%s does not count for %s: the engine was changed since it was measured; "
            "run penstock-worker eval quality and penstock-worker eval gates again",
            place,
            ", ".join(stale),
        )
