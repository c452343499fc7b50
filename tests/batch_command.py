"""A process that runs one batch, to be killed: SETTINGS as JSON, input and output."""

import json
import sys
from pathlib import Path

from penstock_producer.batch.running import RunOptions
from penstock_shared.ledger.database import Database
from penstock_shared.settings import Settings
from tests.batch_files import run_batch, source_of


def main() -> None:
    settings = Settings(**json.loads(sys.argv[1]))
    database = Database(settings.ledger)
    options = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    source = source_of(Path(sys.argv[2]), settings, **options)
    summary = run_batch(settings, database, source, RunOptions(out=sys.argv[3], skip_invalid=True))
    print(json.dumps({"out": summary.out_lines, "errors": summary.error_lines}))


if __name__ == "__main__":
    main()
