"""The names that vLLM knows, without importing it.

The package ships them as a snapshot, so that a caller without vLLM refuses a wrong name too. Where
another version of vLLM is installed than the snapshot's, its own source is read instead.
``python -m penstock_shared.engine_catalogue`` writes the snapshot anew.
"""

import ast
import json
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

SNAPSHOT: Final = Path(__file__).with_name("vllm_options.json")
_WARNS_ONLY: Final = "tensor_parallel_size"  # a field of speculation that exists to be refused


class Catalogue(NamedTuple):
    """What one version of vLLM knows; all names sorted."""

    vllm: str
    options: tuple[str, ...]  # fields of EngineArgs
    speculative_options: tuple[str, ...]  # fields of SpeculativeConfig that a user may set
    speculative_methods: tuple[str, ...]
    quantization_methods: tuple[str, ...]
    dtypes: tuple[str, ...]
    kv_cache_dtypes: tuple[str, ...]


@cache
def catalogue() -> Catalogue:
    """The names of the vLLM that is installed; where none is, those of the snapshot."""
    shipped = snapshot()
    package = installed()
    try:
        if package is None or _version(package) == shipped.vllm:
            return shipped
        return read(package)
    except (OSError, SyntaxError, LookupError, ValueError):
        return shipped  # a vLLM whose source looks different; the engine has the last word


def snapshot() -> Catalogue:
    """The names that this package ships."""
    written = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    names = {key: tuple(written[key]) for key in Catalogue._fields if key != "vllm"}
    return Catalogue(vllm=written["vllm"], **names)


def installed() -> Path | None:
    """The folder of the installed vLLM; None without one."""
    spec = find_spec("vllm")
    locations = spec.submodule_search_locations if spec is not None else None
    return Path(locations[0]) if locations else None


def read(package: Path) -> Catalogue:
    """Read the names from vLLM's source. Raises OSError, SyntaxError, LookupError, ValueError."""
    speculation = _parse(package / "config" / "speculative.py")
    quantization = _parse(package / "model_executor" / "layers" / "quantization" / "__init__.py")
    arguments = _parse(package / "engine" / "arg_utils.py")
    return Catalogue(
        vllm=_version(package),
        options=_sorted(n for n, _ in _fields(arguments, "EngineArgs") if not n.startswith("_")),
        speculative_options=_sorted(
            name
            for name, kind in _fields(speculation, "SpeculativeConfig")
            if name != _WARNS_ONLY and not ast.unparse(kind).startswith("SkipValidation")
        ),
        speculative_methods=_sorted(_choices(speculation, "SpeculativeMethod")),
        quantization_methods=_sorted(_choices(quantization, "QuantizationMethods")),
        dtypes=_sorted(_choices(_parse(package / "config" / "model.py"), "ModelDType")),
        kv_cache_dtypes=_sorted(_choices(_parse(package / "config" / "cache.py"), "CacheDType")),
    )


def _parse(source: Path) -> ast.Module:
    return ast.parse(source.read_text(encoding="utf-8"))


def _version(package: Path) -> str:
    value = ast.literal_eval(_assigned(_parse(package / "_version.py"), "__version__"))
    return str(value).partition("+")[0]


def _fields(module: ast.Module, name: str) -> list[tuple[str, ast.expr]]:
    """Name and annotation of a class's fields."""
    bodies = [n.body for n in module.body if isinstance(n, ast.ClassDef) and n.name == name]
    if not bodies:
        raise LookupError(name)
    statements = [node for node in bodies[0] if isinstance(node, ast.AnnAssign)]
    return [(n.target.id, n.annotation) for n in statements if isinstance(n.target, ast.Name)]


def _choices(module: ast.Module, name: str) -> Iterator[str]:
    """The values of a Literal, through the other Literals that it names."""
    literal = _assigned(module, name)
    inside = literal.slice if isinstance(literal, ast.Subscript) else literal
    for element in inside.elts if isinstance(inside, ast.Tuple) else [inside]:
        if isinstance(element, ast.Name):
            yield from _choices(module, element.id)
        else:
            yield str(ast.literal_eval(element))


def _assigned(module: ast.Module, name: str) -> ast.expr:
    for node in module.body:
        if isinstance(node, ast.Assign) and name in {ast.unparse(t) for t in node.targets}:
            return node.value
    raise LookupError(name)


def _sorted(names: Iterator[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def main() -> None:
    """Write the snapshot from the installed vLLM."""
    package = installed()
    if package is None:
        raise SystemExit("vLLM is not installed here")
    text = json.dumps(read(package)._asdict(), indent=1)
    SNAPSHOT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
