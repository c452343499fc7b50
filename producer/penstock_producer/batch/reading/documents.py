"""The documents of a folder: what counts as one, in which order, and what was passed over."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

TEXT_SUFFIXES: Final = (".txt",)
MARKDOWN_SUFFIXES: Final = (".md", ".markdown")
PDF_SUFFIXES: Final = (".pdf",)
SUFFIXES: Final = TEXT_SUFFIXES + MARKDOWN_SUFFIXES + PDF_SUFFIXES
_BLOCK_BYTES: Final = 1024 * 1024


Note = Callable[[str, str], None]  # hears the name of a file that is passed over, and why


class Document(NamedTuple):
    """One file; ``name`` is its path relative to the folder, with slashes."""

    name: str
    path: Path
    size_bytes: int


class Folder:
    """A folder's documents. Hidden files and folders do not count."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def walk(self, note: Note | None = None) -> Iterator[Document]:
        """The documents, sorted by their names; only one folder's names are held at a time."""
        yield from self._walk(self._path, "", note or _nobody_asks)

    def digest(self) -> str:
        """SHA-256 over the names, sizes and contents of all documents, in order."""
        digest = hashlib.sha256()
        for document in self.walk():
            digest.update(f"{document.name}\0{document.size_bytes}\0".encode())
            try:
                with document.path.open("rb") as file:
                    while block := file.read(_BLOCK_BYTES):
                        digest.update(block)
            except OSError:
                digest.update(b"\0unreadable\0")  # its line says so, too
        return digest.hexdigest()

    def size_bytes(self) -> int:
        """Bytes of all documents."""
        return sum(document.size_bytes for document in self.walk())

    def _walk(self, folder: Path, prefix: str, note: Note) -> Iterator[Document]:
        for sort_name, is_folder in self._entries(folder, prefix, note):
            raw_name = sort_name.removesuffix("/") if is_folder else sort_name
            path, name = folder / raw_name, prefix + _shown(raw_name)
            if is_folder:
                yield from self._walk(path, f"{name}/", note)
            elif not raw_name.lower().endswith(SUFFIXES):
                note(name, f"no document; read are {', '.join(SUFFIXES)}")
            elif (size := _size_of_file(path)) is None:
                note(name, "no file that can be read")
            else:
                yield Document(name, path, size)

    def _entries(self, folder: Path, prefix: str, note: Note) -> list[tuple[str, bool]]:
        """Names, those of folders with a slash, so that they sort as whole paths do."""
        try:
            with os.scandir(folder) as found:
                entries = [
                    (f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name)
                    for entry in found
                    if not entry.name.startswith(".")
                ]
        except OSError as error:
            note(prefix or ".", f"cannot be opened: {error.strerror}")
            return []
        return [(name, name.endswith("/")) for name in sorted(entries)]


def _nobody_asks(_name: str, _why: str) -> None:
    pass


def _size_of_file(path: Path) -> int | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _shown(name: str) -> str:
    """The name as text; bytes of it that are not UTF-8 become question marks."""
    return os.fsencode(name).decode(errors="replace")
