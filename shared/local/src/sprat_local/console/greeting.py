"""What `sprat up` says when everything runs."""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from sprat.model import DEFAULT_MODEL
from sprat_contracts.topics import DEFAULT_PREFIX
from sprat_local.installation import Installation
from sprat_local.options import SIMULATED, USUAL_KAFKA_PORT
from sprat_local.processes.ports import HOST

_EXAMPLE = 'sprat send "please move 100 euros to my savings"'


def greeting(installation: Installation, unserved: Iterable[str] = ()) -> Iterator[str]:
    """Give its lines; `unserved` are models that were announced and are not served here."""
    frontier = installation.options.frontier
    yield f"  Kafka     {installation.bootstrap}"
    yield f"  Redis     {without_password(installation.redis_url)}"
    yield f"  frontier  {frontier if frontier == SIMULATED else without_password(frontier)}"
    yield f"  logs      {installation.logs}"
    for model in installation.options.models:
        yield f"  model     {model} {model.version} from {model.folder}"
    for name in unserved:
        yield f"  not here  {name} is announced: texts that ask for it wait until it is served (--model {name}=DIR);"
        yield f"            sprat models retire {name} has new ones escalated"
    for name in installation.missing:
        yield f"  not installed: {name}"
    yield f"  try       {example(installation)}"
    yield "  Ctrl-C stops everything\n"


def example(installation: Installation) -> str:
    """Give a command that is answered by this installation, with the options that it needs for that."""
    model, prefix = installation.models["intent"], installation.options.prefix
    parts = [_EXAMPLE, "--task", "intent" if model == DEFAULT_MODEL else f"intent@{model}"]
    if installation.bootstrap != f"{HOST}:{USUAL_KAFKA_PORT}":
        parts += ["--bootstrap", installation.bootstrap]
    if prefix != DEFAULT_PREFIX:
        parts += ["--prefix", prefix]
    return " ".join(parts)


def without_password(url: str) -> str:
    """Give a URL without what may be secret in it: user, password, query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(set)"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
