"""``penstock batch``: files of requests."""

import typer

from penstock_producer.cli import batch_control, batch_run, batch_show

app = typer.Typer(
    help="Files of requests: run them, look at them, stop them, go on.", no_args_is_help=True
)
app.command(epilog=batch_run.RUN_EXAMPLES)(batch_run.run)
app.command(epilog=batch_run.SUBMIT_EXAMPLES)(batch_run.submit)
app.command("list", epilog="Example: penstock batch list --tenant acme --json")(
    batch_show.show_list
)
app.command(epilog="Example: penstock batch show ID")(batch_show.show)
app.command(epilog="Example: penstock batch results ID -o so-far.jsonl")(batch_control.results)
app.command(epilog="Example: penstock batch cancel ID")(batch_control.cancel)
app.command(epilog="Example: penstock batch pause ID")(batch_control.pause)
app.command(epilog="Example: penstock batch resume ID --max-cost 20")(batch_control.resume)
app.command(epilog="Example: penstock batch retry-failed ID")(batch_control.retry_failed)
