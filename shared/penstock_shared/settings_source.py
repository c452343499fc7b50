"""Where settings come from, and how a wrong one is explained: the key and the nearest right one."""

import difflib
import json
import tomllib
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from penstock_shared.errors import SettingsError

STACK_FILE: Final = "stack.json"


def read_toml(path: Path) -> dict[str, Any]:
    """Read penstock.toml; relative model folders in it start at its own folder."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    tiers = values.get("tiers")
    for tier in tiers.values() if isinstance(tiers, dict) else ():
        if isinstance(tier, dict):
            _anchor(tier, path.parent)
            _anchor(tier.get("speculative_config"), path.parent)
    return values


def _anchor(table: object, start: Path) -> None:
    """Let relative folders in a tier's table, or in its speculative_config, begin at ``start``."""
    for key in ("model", "tokenizer"):
        folder = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict) and isinstance(folder, str) and folder.startswith((".", "~")):
            table[key] = str((start / Path(folder).expanduser()).resolve())


def as_values(text: Any) -> Any:
    """What a variable's text looks like, such as a number; also inside of a table."""
    if isinstance(text, dict):
        return {key: as_values(inner) for key, inner in text.items()}
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def connection_of_home(home: Path) -> dict[str, Any]:
    """Addresses that the running (or last) stack of this home wrote down; empty without one."""
    try:
        written = json.loads((home / STACK_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: written[key] for key in ("broker_url", "ledger_url") if key in written}


def explain(error: ValidationError, root: type[BaseModel], source: Path | None) -> str:
    """One line for the first problem of a ValidationError."""
    first = error.errors(include_url=False)[0]
    inside = getattr(first.get("ctx", {}).get("error"), "key", "")  # of a WrongOption
    path = ".".join(str(part) for part in (*first["loc"], inside) if part != "")
    place = f" (in {source} or a PENSTOCK_ variable)" if source else " (in a PENSTOCK_ variable)"
    if first["type"] == "extra_forbidden":
        return f"unknown setting {path!r}{nearest(first['loc'], root)}{place}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{path}: {message}{place}" if path else f"{message}{place}"


def nearest(location: tuple[int | str, ...], root: type[BaseModel]) -> str:
    """A hint with the known name that is nearest to the last part of ``location``."""
    known = _names_at(location[:-1], root)
    matches = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    if matches:
        return f"; did you mean {matches[0]!r}?"
    return f"; known here are {', '.join(known)}" if known else ""


def _names_at(location: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue  # a key of a dict, an index of a list
        inner = _model_in(field.annotation)
        if inner is None:
            return []
        model = inner
    return sorted(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)
