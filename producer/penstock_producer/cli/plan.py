"""``penstock plan kv | bill``: what fits into a GPU, and what a month costs."""

import typer

from penstock_producer.cli.plan_bill import BILL_EXAMPLES, bill
from penstock_producer.cli.plan_kv import KV_EXAMPLES, kv

app = typer.Typer(
    help="Plans: what fits into a GPU, and what a month costs.",
    no_args_is_help=True,
)
app.command(epilog=KV_EXAMPLES)(kv)
app.command(epilog=BILL_EXAMPLES)(bill)
