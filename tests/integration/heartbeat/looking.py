"""What a test of the heartbeat looks at."""

import json
from pathlib import Path
from typing import Any

from penstock_shared.ledger.schema import Job
from tests.examples import rows
from tests.rig import Rig


def leases(rig: Rig) -> set[int | None]:
    return {row.lease_until_ms for row in rows(rig.database, Job)}


def sign(health_file: Path) -> dict[str, Any]:
    return dict(json.loads(health_file.read_text())) if health_file.exists() else {}
