"""`sprat models`: list, show, add, convert, retire and clean models."""

from pathlib import Path
from typing import Annotated

import typer

from sprat_cli.app import explain_missing_package, group_help, make_app
from sprat_cli.commands.models.add import EPILOG as ADD
from sprat_cli.commands.models.add import add
from sprat_cli.commands.models.announced import LIST, SHOW, list_models, show
from sprat_cli.commands.models.clean import EPILOG as CLEAN
from sprat_cli.commands.models.clean import clean
from sprat_cli.commands.models.retire import EPILOG as RETIRE
from sprat_cli.commands.models.retire import retire
from sprat_cli.options import Json, argument, option
from sprat_cli.terminal import remark, say, say_json

_CONVERT = """\b
Example:
  sprat models convert opus-mt ~/Downloads/opus-mt-en-de --source en --target de --output my-en-de
  SPRAT_TRANSLATION__ARTEFACT=my-en-de sprat up

\b
DIR is an unpacked .zip of OPUS-MT: decoder.yml, weights as .npz, vocabulary as .yml, source.spm and target.spm.
The model does not estimate its own quality, so a router keeps nothing that it says, until you have measured it and set
keep_at and uncalibrated: keep in your policy.

\b
Exit codes:
  0  the artefact is written
  2  wrong usage, or the folder is not such a model; the message says what to do"""

app = make_app(
    no_args_is_help=True,
    help="Show the models that are served, or add your own.",
    epilog=group_help(
        "models",
        "list",
        "add owner/banking-intents --task intent",
        "show intent/default",
        "retire intent/hr --wait 600",
        "clean",
    ),
)
convert_app = make_app(
    no_args_is_help=True,
    help="Turn a downloaded model into an artefact.",
    epilog=group_help("models convert", "opus-mt ~/Downloads/opus-mt-en-de --source en --target de --output my-en-de"),
)
app.add_typer(convert_app, name="convert", short_help="Turn a downloaded model into an artefact.")


@app.callback()
def _models() -> None:
    """Show the models that are served, or add your own."""


app.command("add", epilog=ADD)(add)
app.command("list", epilog=LIST)(list_models)
app.command("show", epilog=SHOW)(show)
app.command("retire", epilog=RETIRE)(retire)
app.command("clean", epilog=CLEAN)(clean)


@convert_app.callback()
def _convert() -> None:
    """Turn a downloaded model into an artefact."""


@convert_app.command("opus-mt", epilog=_CONVERT, short_help="A Marian translation model as OPUS-MT publishes it.")
def opus_mt(
    folder: Annotated[Path, argument("DIR", "The unpacked model.")],
    *,
    output: Annotated[Path, option("DIR", "The artefact to write.")],
    source: Annotated[str, typer.Option(metavar="TAG", help="Language it translates from, BCP 47.")] = "en",
    target: Annotated[str, typer.Option(metavar="TAG", help="Language it translates into, BCP 47.")] = "de",
    name: Annotated[str | None, option("NAME", "For its card. [default: the folder's]")] = None,
    licence: Annotated[str, typer.Option(metavar="SPDX", help="Of the weights; see the model's README.")] = "CC-BY-4.0",
    as_json: Json = False,
) -> None:
    """Turn a Marian translation model, as OPUS-MT publishes it, into an artefact of the translation service."""
    with explain_missing_package("models"):
        from sprat_inference.converters.opus_mt import LanguagePair, convert_opus_mt  # noqa: PLC0415 - heavy; help must be quick
    card = convert_opus_mt(folder, LanguagePair(source, target, licence), name or folder.resolve().name, output)
    if as_json:
        say_json({"type": "converted", "name": card.name, "version": card.version, "folder": str(output)})
        return
    say(f"{output}: {card.name}, version {card.version}, {source} → {target}")
    remark("it has no estimate of its own quality: measure it, then set keep_at and uncalibrated: keep in your policy")
