"""``penstock plan bill``: what a month costs, and which remedy saves how much."""

import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from sqlalchemy import make_url

from penstock_producer.cli.bill_tables import facts_of, show_bill
from penstock_producer.plan.bill.options import Options
from penstock_producer.plan.bill.remedies import make_bill
from penstock_producer.plan.bill.situation import make_situation
from penstock_shared import clock
from penstock_shared.cli import settings_of
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import check_schema
from penstock_shared.ledger.traffic import Traffic, read_traffic
from penstock_shared.settings import Settings

BILL_EXAMPLES: Final = (
    "Examples: penstock plan bill --requests 2000000; "
    "penstock plan bill --requests 2000000 --prompt-tokens 200:0.7,4000:0.3 --output-tokens 250 "
    "--share small=0.6 --share large=0.4 --cache-hit-rate 0.2 --price large=4.00 --json"
)
_DAY_MS: Final = 86_400_000
err = Console(stderr=True, highlight=False, emoji=False)

Text = str | None
Texts = list[str] | None


def bill(
    requests: Annotated[
        Text, typer.Option(help="a month; without, as the ledger has it", metavar="N")
    ] = None,
    prompt_tokens: Annotated[
        Text, typer.Option(help="300, or 200:0.7,4000:0.3; without, as the ledger has it")
    ] = None,
    output_tokens: Annotated[Text, typer.Option(help="the same for answers")] = None,
    cache_hit_rate: Annotated[
        Text, typer.Option(help="share answered by the cache, 0 to 1")
    ] = None,
    share: Annotated[
        Texts,
        typer.Option(help="share that routing sends to a tier; may repeat", metavar="TIER=SHARE"),
    ] = None,
    price: Annotated[
        Texts, typer.Option(help="USD an hour of one worker; may repeat", metavar="TIER=USD")
    ] = None,
    output_per_s: Annotated[
        Texts, typer.Option(help="tokens that a busy worker writes; may repeat", metavar="TIER=N")
    ] = None,
    prompt_per_s: Annotated[
        Texts, typer.Option(help="tokens that a worker reads; may repeat", metavar="TIER=N")
    ] = None,
    peak: Annotated[Text, typer.Option(help="busiest hour over average hour")] = None,
    utilization: Annotated[Text, typer.Option(help="how busy a worker may be at the peak")] = None,
    can_wait: Annotated[
        Text, typer.Option(help="share of requests that need not be answered at the peak")
    ] = None,
    quantization_speedup: Annotated[Text, typer.Option(help="1.3: 30 % more tokens/s")] = None,
    speculation_speedup: Annotated[Text, typer.Option(help="the same for speculation")] = None,
    batch_speedup: Annotated[Text, typer.Option(help="the same for fuller batches")] = None,
    days: Annotated[int, typer.Option(help="of the ledger, up to now", min=1)] = 30,
    ledger: Annotated[bool, typer.Option(help="take from the ledger what was measured")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="print facts as one JSON line")] = False,
) -> None:
    """Say what a month costs per tier, how many GPUs it needs, and what makes it cheaper."""
    settings = settings_of()
    traffic = _traffic(settings, days) if ledger else None
    situation = make_situation(
        settings,
        traffic,
        Options(
            requests=requests,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            cache_hit_rate=cache_hit_rate,
            shares=share or (),
            prices=price or (),
            output_per_s=output_per_s or (),
            prompt_per_s=prompt_per_s or (),
            peak=peak,
            utilization=utilization,
            can_wait=can_wait,
            quantization_speedup=quantization_speedup,
            speculation_speedup=speculation_speedup,
            batch_speedup=batch_speedup,
        ),
    )
    made = make_bill(situation)
    if as_json:
        sys.stdout.write(json.dumps(facts_of(situation, made), ensure_ascii=False) + "\n")
    else:
        show_bill(situation, made)


def _traffic(settings: Settings, days: int) -> Traffic | None:
    """What the ledger knows; None where no stack has made one yet."""
    url = make_url(settings.ledger)
    if settings.ledger_url is None and url.database and not Path(url.database).exists():
        err.print("[yellow]note[/]: there is no ledger in this home, so nothing is measured")
        return None
    database = Database(settings.ledger)
    try:
        check_schema(database)
        return read_traffic(database, clock.now_ms() - days * _DAY_MS)
    finally:
        database.close()
