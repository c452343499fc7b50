"""Engines that differ in nothing but how they speculate."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from penstock_shared.errors import InvalidSuite
from penstock_shared.settings_source import explain
from penstock_shared.speculative_options import SCHEDULE, method_of
from penstock_shared.tier_settings import TierSettings
from penstock_workers.evals.contender import Contender
from penstock_workers.evals.speculation.advice import TOKENS, family_of
from penstock_workers.evals.speculation.report import Variant


def without_speculation(contender: Contender) -> Contender:
    """The baseline: the same configuration, none of it speculative."""
    plain = contender.config.model_copy(update={"speculative_config": None})
    return Contender(f"{contender.name} alone", plain)


def variant_of(contender: Contender, speculative_config: Mapping[str, Any]) -> Contender:
    """The same configuration with this speculative_config, named after its draft and tokens.

    Raises InvalidSuite when the configuration is wrong.
    """
    head = speculative_config.get("model") or method_of(speculative_config)
    name = f"{PurePath(str(head)).name} {speculative_config.get(TOKENS, '')}".strip()
    if SCHEDULE in speculative_config:
        name += " scheduled"
    given = contender.config.model_dump(exclude_unset=True)
    try:
        config = TierSettings.model_validate(
            given | {"speculative_config": dict(speculative_config)}
        )
    except ValidationError as error:
        raise InvalidSuite(f"variant {name!r}: {explain(error, TierSettings, None)}") from None
    return Contender(name, config)


def idle_variants(variants: Sequence[Contender]) -> list[Contender]:
    """For each draft model among the variants, one that reads along and drafts nothing."""
    most: dict[str, Contender] = {}
    for contender in variants:
        config = contender.config.speculative_config or {}
        if "model" in config and TOKENS in config:
            family = family_of(config)
            before = most.get(family, contender).config.speculative_config or {}
            if config[TOKENS] >= before[TOKENS]:
                most[family] = contender
    idle = []
    for contender in most.values():
        config = {**(contender.config.speculative_config or {}), SCHEDULE: [[1, 1, 0]]}
        variant = variant_of(contender, config)
        idle.append(variant._replace(name=f"{PurePath(config['model']).name} 0"))
    names = {contender.name for contender in variants}
    return [contender for contender in idle if contender.name not in names]


def checked(contenders: Sequence[Contender], baseline: str) -> tuple[Variant, ...]:
    """The variants as the report has them. Raises InvalidSuite when one cannot take part."""
    found: dict[str, Variant] = {}
    for name, config in contenders:
        speculation = config.speculative_config
        if speculation is None or TOKENS not in speculation:
            raise InvalidSuite(f"variant {name!r} needs a speculative_config with {TOKENS}")
        if name in found or name == baseline:
            raise InvalidSuite(f"two engines are called {name!r}")
        found[name] = Variant(name=name, speculative_config=speculation)
    if not found:
        raise InvalidSuite("there is no variant with speculation to measure")
    return tuple(found.values())
