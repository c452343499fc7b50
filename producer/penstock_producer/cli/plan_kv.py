"""``penstock plan kv``: weights, KV cache, and how many requests fit at once."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from penstock_producer.plan.kv.picture import draw_kv
from penstock_producer.plan.kv.planning import GIB, Gpu, KvPlan, Question, Row, plan_kv
from penstock_producer.plan.kv.weights import DEFAULT_GROUP

KV_EXAMPLES: Final = (
    "Examples: penstock plan kv --model llama-3-70b --context 32768 --kv-dtype fp16 --json; "
    "penstock plan kv --model ./my-model --gpu-memory 80 --tensor-parallel 2 --picture fits.png"
)
_SHARE: Final = 0.92  # as of a tier
_RESERVE_GIB: Final = 2.0
_NAMES: Final = {"bf16": "16 bits", "int8": "8 bits", "int4": "4 bits", "stored": "as stored"}

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def kv(
    model: Annotated[str, typer.Option(help="folder, config.json, hub name or penstock-toys/…")],
    context: Annotated[
        list[int] | None, typer.Option(help="tokens of prompt and answer; may repeat", min=1)
    ] = None,
    gpu_memory: Annotated[
        float | None, typer.Option(help="GiB of each GPU; without, nothing is fitted", min=0.001)
    ] = None,
    share: Annotated[
        float, typer.Option(help="of each GPU's memory, gpu_memory_utilization", min=0.01, max=1)
    ] = _SHARE,
    reserve: Annotated[
        float, typer.Option(help="GiB of it for activations and CUDA graphs: assumed", min=0)
    ] = _RESERVE_GIB,
    kv_dtype: Annotated[
        str, typer.Option(help="auto (as the model), fp16, bf16, fp8, fp32")
    ] = "auto",
    tensor_parallel: Annotated[int, typer.Option(help="GPUs of one engine", min=1)] = 1,
    in_flight: Annotated[
        int, typer.Option(help="tokens that a window keeps beyond itself", min=1)
    ] = 1,
    group_size: Annotated[
        int, typer.Option(help="weights that share a scale in 4 bits", min=1)
    ] = DEFAULT_GROUP,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="draw what fits; needs --gpu-memory")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line per context")] = False,
) -> None:
    """Say what a model's weights and KV cache take, and how many requests fit at once."""
    gpu = None
    if gpu_memory is not None:
        gpu = Gpu(round(gpu_memory * GIB), share, round(reserve * GIB))
    contexts = sorted(set(context or ()))
    question = Question(contexts, kv_dtype, tensor_parallel, gpu, in_flight, group_size)
    plan = plan_kv(model, question)
    if picture is not None:
        draw_kv(plan, picture)
    if as_json:
        for row in plan.rows:
            sys.stdout.write(json.dumps(_facts(plan, row), ensure_ascii=False) + "\n")
    else:
        _show(plan)
    for note in plan.notes:
        err.print(f"[yellow]note[/]: {escape(note)}", soft_wrap=True)


def _facts(plan: KvPlan, row: Row) -> dict[str, Any]:
    gpu = plan.gpu
    return {
        "model": plan.model,
        "source": plan.source,
        "family": plan.architecture.family,
        "attention": plan.architecture.describe(),
        "parameters": plan.parameters,
        "parameters_from": plan.parameters_from,
        "weights_bytes": plan.weights_bytes,
        "kv_dtype": plan.kv_dtype,
        "tensor_parallel": plan.tensor_parallel,
        "kv_bytes_per_token": plan.kv_bytes_per_token,
        "context": row.context,
        "kv_bytes_per_request": row.kv_bytes_per_request,
        "gpu_memory_bytes": gpu and gpu.memory_bytes,
        "gpu_usable_bytes": gpu and gpu.usable_bytes,
        "max_concurrent": row.max_concurrent,
        "notes": list(plan.notes),
    }


def _show(plan: KvPlan) -> None:
    out.print(f"{plan.model} ({plan.source})", markup=False, soft_wrap=True)
    out.print(f"{plan.architecture.describe()}", markup=False, soft_wrap=True)
    out.print(f"{plan.parameters:,} parameters (from {plan.parameters_from}); weights: "
              + ", ".join(f"{_NAMES[k]} {_size(v)}" for k, v in _named(plan.weights_bytes)),
              markup=False, soft_wrap=True)  # fmt: skip
    out.print(f"KV cache in {plan.kv_dtype}: {plan.kv_bytes_per_token:,} bytes a token"
              + ("" if plan.tensor_parallel == 1 else f" on {plan.tensor_parallel} GPUs together"),
              markup=False, soft_wrap=True)  # fmt: skip
    table = Table("context", "KV cache a request")
    for column in table.columns:
        column.justify = "right"
    if plan.gpu is not None:
        for name, _ in _named(plan.weights_bytes):
            table.add_column(f"fit, {_NAMES[name]}", justify="right")
    for row in plan.rows:
        fits = [f"{n:,}" for _, n in _named(row.max_concurrent or {})]
        table.add_row(f"{row.context:,}", _size(row.kv_bytes_per_request), *fits)
    out.print(table)
    if plan.gpu is not None:
        gpu = plan.gpu
        out.print(
            f"requests that fit at once into {gpu.usable_bytes / GIB:,.1f} GiB a GPU: "
            f"{gpu.share:.0%} of {gpu.memory_bytes / GIB:,.1f}, less "
            f"{gpu.reserve_bytes / GIB:,.1f} (assumed) for activations and CUDA graphs",
            soft_wrap=True,
        )


def _named(sizes: dict[str, int]) -> list[tuple[str, int]]:
    """fp8 is as large as int8, so it has no column of its own."""
    return [(name, value) for name, value in sizes.items() if name in _NAMES]


def _size(number: int) -> str:
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number >= unit:
            return f"{number / unit:,.1f} {name}"
    return f"{number} B"
