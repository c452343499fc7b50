"""``python -m penstock_workers`` is the command ``penstock-worker``."""

from penstock_workers.cli import main

main()
