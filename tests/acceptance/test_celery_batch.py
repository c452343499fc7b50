"""The pipeline of docs/batches.md runs as it stands there: a batch is a step of a Celery canvas."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock_producer import Client, load_settings
from tests.acceptance.command import STOP_S, Home, wait_until

DOCS = Path(__file__).parents[2] / "docs" / "batches.md"
BOUND_S = 200.0


def test_the_documented_pipeline_asks_about_the_answers_of_a_batch(
    home: Home, tmp_path: Path
) -> None:
    write_pipeline(tmp_path / "pipeline.py", home.stack["broker_url"])
    write_questions(tmp_path / "reports.jsonl", "Spain", "Chile", "Italy")
    for number in range(4):
        write_questions(tmp_path / f"part-{number}.jsonl", "Peru", "Norway")
    environment = {**os.environ, "PENSTOCK_HOME": str(home.folder)}
    with celery_worker(tmp_path, environment) as log:
        command = [sys.executable, "pipeline.py"]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=BOUND_S)
        wait_until(lambda: "the summary is job" in log.read_text("utf-8"), BOUND_S)
        wait_until(lambda: "8 answers are in the ledger" in log.read_text("utf-8"), BOUND_S)
    [job_id] = re.findall(r"the summary is job (\S+)", log.read_text("utf-8"))
    with Client(load_settings(home.folder)) as client:
        summary = client.fetch(job_id)
    assert (summary.tier, summary.task_type) == ("large", "summarization")
    assert summary.text


def write_pipeline(path: Path, broker_url: str) -> None:
    """The one of the page, with this stack's Redis."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    [pipeline] = [block for block in blocks if "import Celery" in block]
    written = re.sub(r'(?m)^REDIS = ".*"$', f"REDIS = {broker_url!r}", pipeline)
    assert written != pipeline
    path.write_text(written, encoding="utf-8")


def write_questions(path: Path, *countries: str) -> None:
    lines = (
        {
            "custom_id": country,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": "small",
                "max_tokens": 16,
                "messages": [{"role": "user", "content": f"What is the capital of {country}?"}],
            },
        }
        for country in countries
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@contextmanager
def celery_worker(folder: Path, environment: dict[str, str]) -> Iterator[Path]:
    """Serve the pipeline's tasks; yields the file with all that it says."""
    log = folder / "worker.log"
    options = ("--pool", "threads", "--concurrency", "2", "--loglevel", "WARNING")
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "pipeline", "worker", *options],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield log
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(STOP_S)
