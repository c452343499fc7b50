"""What kind of input a path is: by its name, else by its first bytes."""

from itertools import islice
from pathlib import Path
from typing import Final

from penstock_producer.batch.reading.input_file import DAMAGE, InputFile, damaged, empty
from penstock_producer.batch.reading.line import BadLine, LineError
from penstock_producer.batch.reading.numbered import is_blank, numbered_lines
from penstock_producer.batch.reading.objects import json_object
from penstock_producer.batch.reading.options import Format
from penstock_shared.errors import InvalidRequest

_PACKED: Final = (".gz", ".zst")
_SEEN_LINES: Final = 100
_PARQUET: Final = b"PAR1"
_BLOCK_BYTES: Final = 1024
_BOM: Final = b"\xef\xbb\xbf"


def kind_of(path: Path, name: str, given: Format | None) -> Format:
    """The kind of an input; ``name`` is what the caller called it.

    Raises InvalidRequest when there is nothing, or when nobody can tell, and InvalidBatch for a
    file that is empty or damaged.
    """
    if path.is_dir():
        return _folder(name, given)
    if not path.exists():
        raise InvalidRequest(f"there is no file or folder {name}")
    if not path.is_file():
        raise InvalidRequest(f"{name} can be read only once; pipe it into - (standard input)")
    if given == "folder":
        raise InvalidRequest(f"{name} is a file, not a folder")
    file = InputFile(path)
    first_bytes = _first_bytes(file)
    if not first_bytes:
        raise empty(name)
    if given is not None:
        return given
    suffix = suffix_of(name)
    if suffix in (".csv", ".tsv"):
        return "csv"
    if suffix == ".parquet" or first_bytes.startswith(_PARQUET):
        return "parquet"
    if suffix in (".jsonl", ".ndjson") or first_bytes.startswith(b"{"):
        return "openai" if _is_openai(file) else "jsonl"
    raise InvalidRequest(
        f"nobody can tell what {name} is; say --format openai, jsonl, csv or parquet"
    )


def suffix_of(name: str) -> str:
    """The ending of a name in small letters, without that of a compression."""
    path = Path(name)
    if path.suffix.lower() in _PACKED:
        path = path.with_suffix("")
    return path.suffix.lower()


def delimiter_of(name: str) -> str:
    """What separates the fields of a table: tabs where its name says .tsv, else commas."""
    return "\t" if suffix_of(name) == ".tsv" else ","


def _folder(name: str, given: Format | None) -> Format:
    if given not in (None, "folder"):
        raise InvalidRequest(f"{name} is a folder, not {given}")
    return "folder"


def _first_bytes(file: InputFile) -> bytes:
    """The beginning of the content, without what is blank; nothing when all of it is."""
    try:
        with file.open() as stream:
            block = stream.read(_BLOCK_BYTES).removeprefix(_BOM)
            while block and block.isspace():
                block = stream.read(_BLOCK_BYTES)
            return block.lstrip()
    except DAMAGE as error:
        raise damaged(error, 0) from None


def _is_openai(file: InputFile) -> bool:
    """True when one of the first lines has what only lines of a batch file have."""
    with file.open() as stream:
        for _, raw in islice(numbered_lines(stream), _SEEN_LINES):
            if not isinstance(raw, LineError) and not is_blank(raw) and _is_of_openai(raw):
                return True
    return False


def _is_of_openai(raw: bytes) -> bool:
    """Whether a line is meant as one of a batch file, though something may be missing in it.

    A table may have columns with these names, too, so it takes more than one name.
    """
    try:
        values = json_object(raw)
    except BadLine:
        return False
    return (
        isinstance(values.get("body"), dict)
        or str(values.get("url")).startswith("/v1/")
        or values.keys() >= {"custom_id", "method"}
    )
