"""Train the whole family, round by round: python -m penstock_workers.toys.family --out DIR.

A round that is done already is not made again, so an interrupted training goes on with the next.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from penstock_workers.toys.data import Size
from penstock_workers.toys.quantize import Scheme, quantize_folder


class Round(NamedTuple):
    """One call of train.py: what it makes, how, and the earlier round that it goes on from."""

    name: str
    size: Size
    steps: int
    seed: int = 0
    options: tuple[str, ...] = ()
    start_from: str | None = None


ROUNDS: Final = (
    Round("small-one", "small", 3400),
    Round("small", "small", 1800, 2, ("--peak-rate", "2e-3"), "small-one"),
    Round("draft-one", "draft", 1400),
    Round("draft", "draft", 5000, 2, ("--peak-rate", "2e-3"), "draft-one"),
    Round("medium-one", "medium", 2200),
    Round("medium", "medium", 1600, 2, ("--peak-rate", "3e-3"), "medium-one"),
    Round("large-one", "large", 2200),
    Round("large-two", "large", 1000, 1, ("--diet", "sums"), "large-one"),
    Round("large", "large", 2100, 2, ("--diet", "recall", "--peak-rate", "3e-3"), "large-two"),
)
QUANTIZED: Final[dict[str, Scheme]] = {"large-int8": "int8", "large-int4": "int4"}


def command_of(made: Round, folder: Path) -> list[str]:
    """The arguments of train.py that make this round in the folder."""
    arguments = ["--size", made.size, "--steps", str(made.steps), "--seed", str(made.seed)]
    if made.start_from:
        arguments += ["--start-from", str(folder / made.start_from)]
    return [*arguments, *made.options, "--out", str(folder / made.name)]


def main() -> None:
    """Make every round that is not there, then the quantized versions of large."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the models")
    folder: Path = parser.parse_args().out
    for made in ROUNDS:
        # metrics.json is written last: a folder without it is a checkpoint of a broken round.
        if not (folder / made.name / "metrics.json").is_file():
            module = "penstock_workers.toys.train"
            subprocess.run([sys.executable, "-m", module, *command_of(made, folder)], check=True)
    for name, scheme in QUANTIZED.items():
        if not (folder / name).exists():
            quantize_folder(scheme, folder / "large", folder / name)


if __name__ == "__main__":
    main()
