"""Score a toy anew: python -m penstock_workers.toys.score --size small DIR."""

import argparse
import json
from pathlib import Path

import torch

from penstock_workers.toys.evaluate import scores
from penstock_workers.toys.export import load_weights
from penstock_workers.toys.model import DIMENSIONS, ToyLlama
from penstock_workers.toys.tokenizer import load_tokenizer


def main() -> None:
    """Replace the scores in the folder's metrics.json by those of the held-out test of today."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=tuple(DIMENSIONS), required=True)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = ToyLlama(DIMENSIONS[options.size])
    model.load_state_dict(load_weights(options.folder))
    path = options.folder / "metrics.json"
    metrics = json.loads(path.read_text()) if path.exists() else {}
    metrics["held_out_exact"] = scores(model, load_tokenizer())
    path.write_text(json.dumps(metrics, indent=2) + "\n")


if __name__ == "__main__":
    main()
