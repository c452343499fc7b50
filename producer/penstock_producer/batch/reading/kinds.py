"""What kind of input a path is: by its name, else by its first bytes."""

from pathlib import Path
from typing import Final

from penstock_producer.batch.reading.input_file import DAMAGE, InputFile
from penstock_producer.batch.reading.line import BadLine, LineError
from penstock_producer.batch.reading.numbered import is_blank, numbered_lines
from penstock_producer.batch.reading.objects import json_object
from penstock_producer.batch.reading.options import Format
from penstock_shared.errors import InvalidRequest

_PACKED: Final = (".gz", ".zst")
_SEEN_LINES: Final = 100
_PARQUET: Final = b"PAR1"
_BOM: Final = b"\xef\xbb\xbf"


def kind_of(path: Path, name: str, given: Format | None) -> Format:
    """The kind of an input; ``name`` is what the caller called it.

    Raises InvalidRequest when there is nothing, or when nobody can tell.
    """
    if path.is_dir():
        return _folder(name, given)
    if not path.exists():
        raise InvalidRequest(f"there is no file or folder {name}")
    if not path.is_file():
        raise InvalidRequest(f"{name} can be read only once; pipe it into - (standard input)")
    if given == "folder":
        raise InvalidRequest(f"{name} is a file, not a folder")
    if given is not None:
        return given
    suffix = suffix_of(name)
    if suffix in (".csv", ".tsv"):
        return "csv"
    file = InputFile(path)
    if suffix == ".parquet" or _first_bytes(file).startswith(_PARQUET):
        return "parquet"
    if suffix in (".jsonl", ".ndjson") or _first_bytes(file).startswith(b"{"):
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
    try:
        with file.open() as stream:
            return stream.read(1024).removeprefix(_BOM).lstrip()
    except DAMAGE:
        return b""


def _is_openai(file: InputFile) -> bool:
    """True when the first line that can be read has what only lines of a batch file have."""
    with file.open() as stream:
        for number, raw in numbered_lines(stream):
            if number > _SEEN_LINES:
                break
            if isinstance(raw, LineError) or is_blank(raw):
                continue
            try:
                return json_object(raw).keys() >= {"custom_id", "body"}
            except BadLine:
                continue
    return False
