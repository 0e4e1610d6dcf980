"""`sprat train`: fit a model on labels of your own."""

from sprat_cli.app import group_help, plain_app
from sprat_cli.train.intent import EPILOG, intent

app = plain_app(
    no_args_is_help=True,
    help="Fit a model on labels of your own.",
    epilog=group_help("train", "intent hr.csv --output hr"),
)


@app.callback()
def _train() -> None:
    """Fit a model on labels of your own."""


app.command("intent", epilog=EPILOG, short_help="What the writer of a text wants.")(intent)
