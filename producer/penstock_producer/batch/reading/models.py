"""What a line may write as ``model``: a tier, a tier's model, or nothing for the router."""

from typing import Final

from penstock_producer.batch.reading.line import BadLine
from penstock_shared.settings import Settings

_ROUTED: Final = ("auto", "penstock")


class Models:
    """The names that are known.

    A tier's name wins over a model's. A model that several tiers have means the cheapest of them;
    the last part of a model's path counts unless two models share it.
    """

    def __init__(self, settings: Settings) -> None:
        self._tiers: dict[str, str | None] = {}
        cheapest_first = sorted(settings.tiers, key=lambda t: settings.tiers[t].price_per_hour)
        models = [(settings.tiers[tier].model, tier) for tier in cheapest_first]
        self._tiers.update(dict.fromkeys(_ROUTED))
        self._tiers.update({tier: tier for tier in settings.tiers})
        for model, tier in models:
            self._tiers.setdefault(model, tier)
        for model, tier in models:
            last = _last_part(model)
            if {m for m, _ in models if _last_part(m) == last} == {model}:
                self._tiers.setdefault(last, tier)

    def tier_of(self, model: object) -> str | None:
        """The tier that a model stands for; None is for the router to choose.

        Raises BadLine (model_not_found).
        """
        if model is None:
            return None
        if isinstance(model, str) and model in self._tiers:
            return self._tiers[model]
        raise BadLine(
            "model_not_found",
            f"there is no model {str(model)[:200]!r}; known are {', '.join(self._tiers)}",
            "model",
        )


def _last_part(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2]
