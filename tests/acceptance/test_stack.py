"""The stack as a whole: the demo, Ctrl-C, and a home after kill -9. On SQLite."""

import re
import signal
from pathlib import Path

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.worker_time import read_books
from tests.acceptance.command import START_S, Home, all_end, stop, wait_until


def demo_home(home: Home) -> Path:
    """The folder that a kept demo names at its end."""
    return Path(re.findall(r"the demo's home: (\S+)", home.output)[-1])


def test_the_demo_answers_everything_and_the_bill_adds_up(tmp_path: Path) -> None:
    home = Home(tmp_path / "unused")
    demo = home.start("demo", "--keep")
    assert demo.wait(600) == 0, home.output
    assert "of the" in home.output
    assert "have no answer" not in home.output
    database = Database(f"sqlite:///{demo_home(home) / 'ledger.db'}")
    books = read_books(database)
    database.close()
    assert len(books) == 3
    for book in books:
        assert book.difference_pusd == 0
        assert book.charged_pusd > 0
    all_end(demo_home(home))
    right, judged = re.findall(r"(\d+) of the (\d+) answers", home.output)[-1]
    assert int(right) > 0.7 * int(judged)


def test_ctrl_c_ends_the_demo_in_order(tmp_path: Path) -> None:
    home = Home(tmp_path / "unused")
    demo = home.start("demo", "--keep")
    wait_until(lambda: "ready" in home.output, START_S)
    assert stop(demo) == 0
    all_end(demo_home(home))


def test_after_kill_9_the_next_up_recovers_and_finishes_the_jobs(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", PENSTOCK_WORKER__LEASE_S="6", PENSTOCK_WORKER__SWEEP_S="1")
    with home.up("small") as first:
        job_id = home.submit("What is the capital of France?")["job_id"]
        first.send_signal(signal.SIGKILL)
        first.wait()
        left = home.json("submit", "What is the capital of Germany?", "--tier", "small")["job_id"]
        all_end(home.folder)
    home.folder.with_suffix(".out").unlink()
    with home.up("small") as second:
        assert home.json("result", job_id)["status"] == "succeeded"
        assert "Berlin" in home.json("result", left, "--wait", "200")["text"]
        assert stop(second) == 0
    all_end(home.folder)


def test_a_job_is_accepted_while_redis_is_away(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", PENSTOCK_BROKER_URL="redis://127.0.0.1:9/0")
    assert home.run("migrate").returncode == 0
    done = home.run("submit", "Hello!", "--json")
    assert done.returncode == 0
    assert '"status": "queued"' in done.stdout
    assert "Redis does not answer" in done.stderr


def test_without_a_ledger_the_message_says_what_to_do(tmp_path: Path) -> None:
    done = Home(tmp_path / "nowhere").run("submit", "Hello!")
    assert done.returncode == 69
    assert "penstock up" in done.stderr
