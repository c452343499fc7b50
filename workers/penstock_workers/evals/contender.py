"""An engine configuration that takes part in an evaluation, under a name."""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from penstock_shared.errors import InvalidSuite
from penstock_shared.settings import Settings
from penstock_shared.settings_source import explain
from penstock_shared.tier_settings import TierSettings
from penstock_workers.models import is_cpu_build

CPU_KV_CACHE_BYTES: Final = 512 * 2**20
_OPTIONS: Final = re.compile(r",(?=[a-z_]+=)")


class Contender(NamedTuple):
    """A name for tables and pictures, and the engine configuration as a tier would have it."""

    name: str
    config: TierSettings

    @property
    def digest(self) -> str:
        """Fingerprint of the configuration: measurements of another one are not these."""
        options = json.dumps(self.config.engine_options() | {"model": self.config.model})
        return hashlib.sha256(options.encode()).hexdigest()[:16]


def contenders(specs: Sequence[str], settings: Settings) -> list[Contender]:
    """Read ``[NAME=]BASE[,option=value...]``; BASE is a tier, a model folder or a hub name.

    Without any, the tiers of the settings. Raises InvalidSuite and, for a wrong option,
    SettingsError's words.
    """
    found = [_contender(spec, settings) for spec in specs or tuple(settings.tiers)]
    names = [contender.name for contender in found]
    for name in names:
        if names.count(name) > 1:
            raise InvalidSuite(f"two engines are called {name!r}; write NAME=... before one")
    return found


def _contender(spec: str, settings: Settings) -> Contender:
    head, *options = _OPTIONS.split(spec)
    name, named, base = head.rpartition("=")
    changes = dict(_option(option) for option in options)
    if base in settings.tiers:
        values: dict[str, Any] = settings.tiers[base].model_dump(exclude_unset=True)
    else:
        values = {"model": base, "price_per_hour": 0}
    if is_cpu_build() and not {"kv_cache_memory_bytes", "gpu_memory_utilization"} & changes.keys():
        # A CPU engine that is not told takes nearly all memory of the machine.
        values.setdefault("kv_cache_memory_bytes", CPU_KV_CACHE_BYTES)
    try:
        config = TierSettings.model_validate(values | changes)
    except ValidationError as error:
        raise InvalidSuite(f"engine {spec!r}: {explain(error, TierSettings, None)}") from None
    return Contender(name if named else base, config)


def _option(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
