"""Whether an input is still what it was, without reading it again."""

import os
from pathlib import Path

from penstock_producer.batch.reading.stamp import Stamp


def test_a_file_that_is_written_to_or_replaced_is_another(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_text("one")
    stamp = Stamp(path)
    path.read_text()
    assert stamp.holds()
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert not stamp.holds()

    stamp = Stamp(path)
    path.rename(tmp_path / "kept")
    assert not stamp.holds()
    path.write_text("one")
    os.utime(path, ns=(0, (tmp_path / "kept").stat().st_mtime_ns))
    assert not stamp.holds()


def test_of_a_folder_the_documents_count(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("one")
    stamp = Stamp(tmp_path)
    (tmp_path / "answers.jsonl").write_text("no document")
    assert stamp.holds()
    (tmp_path / "in" / "b.md").write_text("two")
    assert not stamp.holds()
    (tmp_path / "in" / "b.md").unlink()
    assert stamp.holds()
    (tmp_path / "in" / "a.txt").rename(tmp_path / "in" / "c.txt")
    assert not stamp.holds()
