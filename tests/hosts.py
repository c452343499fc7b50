"""Processes behind the pipe of an engine that go wrong; the model that is given says how."""

import sys
import time
from multiprocessing.connection import Connection
from typing import Final

from penstock_shared.ledger.worker_time import Spent
from penstock_workers.engine.messages import Failure, Ready
from penstock_workers.engine.protocol import EngineConfig, EngineLimits, Pulse

HOST: Final = "tests.hosts"
LIMITS: Final = EngineLimits(10, 10, None, None)
_LONG_S: Final = 600.0


def main() -> None:
    """Load or fail; then say one word and die of a request, or hang."""
    pipe = Connection(int(sys.argv[1]))
    config: EngineConfig = pipe.recv()
    if config.model == "loads":
        time.sleep(_LONG_S)
    if config.model == "fails":
        pipe.send(Failure("no memory"))
        return
    pipe.send(Ready(LIMITS))
    pipe.send(Pulse(1, 0, Spent(7, 3)))
    if config.model == "dies":
        pipe.recv()
        return
    if config.model == "lets go":  # as when the end of an interpreter waits for a thread
        pipe.close()
    time.sleep(_LONG_S)


if __name__ == "__main__":
    main()
