"""`sprat train`: each task whose service can be trained brings its own command; no code of a service lives here."""

from importlib import import_module
from typing import Final

from sprat.cli.plain import group_help, plain_app
from sprat.errors import UserError

_TRAINABLE: Final = {"intent": "What the writer of a text wants."}
"""Task → its line of help. Its service has the function of that name in `training.command`."""

app = plain_app(
    no_args_is_help=True,
    help="Fit a model on labels of your own.",
    epilog=group_help("train", "intent hr.csv --output hr"),
)


@app.callback()
def _train() -> None:
    """Fit a model on labels of your own."""


def _add(task: str, line: str) -> None:
    service = f"sprat_{task}"
    try:
        module = import_module(f"{service}.training.command")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != service:
            raise
        raise UserError(f"`train {task}` comes with the {task} service: pip install sprat-{task}") from None
    app.command(task, epilog=module.EPILOG, short_help=line)(getattr(module, task))


for _task, _line in _TRAINABLE.items():
    _add(_task, _line)
