"""Where a model's config.json is found: a folder, a file, the hub's cache, or what we ship."""

import difflib
import importlib.util
import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from penstock_shared.errors import InvalidRequest

CONFIG: Final = "config.json"
_TOYS: Final = "penstock-toys/"
_SHIPPED: Final = "known_models.json"


class Source(NamedTuple):
    """A config.json, and where it is from."""

    config: dict[str, Any]
    origin: str
    folder: Path | None  # where a checkpoint may lie beside it


class KnownModel(NamedTuple):
    """A model whose config.json comes with Penstock."""

    names: tuple[str, ...]
    parameters: int  # as published
    config: dict[str, Any]


def find_config(model: str) -> Source:
    """The config.json of a folder, a file or a hub name. Raises InvalidRequest.

    Nothing is downloaded. A hub name is looked for in the local cache of the hub, and then among
    the models that come with Penstock.
    """
    path = Path(model).expanduser()
    if path.is_file():
        return Source(_read(path), str(path), path.parent)
    folder = _toy(model) if model.startswith(_TOYS) else path
    if (folder / CONFIG).is_file():
        return Source(_read(folder / CONFIG), str(folder / CONFIG), folder)
    if folder.is_dir():
        raise InvalidRequest(f"the folder {model} has no config.json")
    return _of_hub(model)


@cache
def known_models() -> tuple[KnownModel, ...]:
    """The models whose config.json comes with Penstock, with the numbers that were published."""
    text = files(__package__).joinpath(_SHIPPED).read_text(encoding="utf-8")
    return tuple(
        KnownModel(tuple(entry["names"]), entry["parameters"], entry["config"])
        for entry in json.loads(text)
    )


def _of_hub(model: str) -> Source:
    cached = _in_hub_cache(model)
    if cached is not None:
        return Source(_read(cached), f"the hub's cache, {model}", cached.parent)
    for known in known_models():
        if model.lower() in _spellings(known):
            return Source(known.config, f"shipped with Penstock, {known.names[0]}", None)
    names = sorted(name for known in known_models() for name in known.names)
    near = difflib.get_close_matches(model, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InvalidRequest(
        f"{model!r} is no folder and no file, is not in the hub's cache here, and does not come "
        f"with Penstock{hint} Else download the model's config.json and give its path"
    )


def _spellings(known: KnownModel) -> Iterator[str]:
    for name in known.names:
        yield name.lower()
        yield name.lower().rpartition("/")[2]


def _in_hub_cache(model: str) -> Path | None:
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    try:
        found = try_to_load_from_cache(model, CONFIG)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def _toy(model: str) -> Path:
    """Folder of a toy model; the workers' package has them, and is not imported for it."""
    spec = importlib.util.find_spec("penstock_workers")
    if spec is None or not spec.submodule_search_locations:
        return Path(model)
    toys = Path(spec.submodule_search_locations[0]) / "toys" / "models"
    return toys / Path(model.removeprefix(_TOYS)).name


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise InvalidRequest(f"{path} is no config.json: it must be an object")
    return values
