"""An engine load without a download: a small Llama of random weights.

Outputs are of fixed length, so nobody reads them; what counts is how long a step takes.
"""

import shutil
from pathlib import Path
from typing import Final

from penstock_workers.models import TOYS, locate

NAME: Final = "random"
_DONOR: Final = f"{TOYS}large"
_SHAPE: Final = {
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "vocab_size": 8192,
}


def write_random_model(folder: Path) -> None:
    """Write the model (7 M parameters), with the tokenizer of a built-in toy."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    donor = Path(locate(_DONOR))
    config = LlamaConfig.from_pretrained(donor)
    config.update(_SHAPE)
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(donor / name, folder / name)
