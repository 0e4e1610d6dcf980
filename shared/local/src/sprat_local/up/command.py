"""`sprat up`: run everything on this machine until Ctrl-C."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sprat_contracts.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX

EPILOG = """\b
Examples:
  sprat up --data ./sprat-data
  sprat up --with language-id
  sprat up --brokers 3
  sprat up --observe     (metrics, alerts, logs and traces, in what is installed of Prometheus, Jaeger and others)
  sprat up --model intent/hr=./hr --model intent/it=./it     (texts ask for it: --task intent@hr)
  SPRAT_MODELS='{"intent/hr": "./hr"}' sprat up

\b
Exit codes:
  0  stopped
  1  Kafka or a service failed in a way that cannot be fixed here
  2  wrong usage, or something on this machine prevents the start"""


def _on_request(name: str) -> str:
    from sprat_operations.services import ON_REQUEST  # noqa: PLC0415 - --help does not wait for it

    if name not in ON_REQUEST:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, ON_REQUEST))}.")
    return name


def up(
    *,
    bootstrap: Annotated[
        str | None, typer.Option(help="Use this Kafka (host:port) instead of an embedded one.", show_default=False)
    ] = None,
    brokers: Annotated[
        int, typer.Option(help="Brokers of the embedded Kafka: 1, or 3, of which one may be away.", min=1, max=3)
    ] = 1,
    redis: Annotated[
        str | None,
        typer.Option(
            help="Use this Redis (redis://…) instead of an embedded one. A password in the option is visible in "
            "`ps`, in the variable it is not.",
            envvar="SPRAT_REDIS__URL",
            show_default=False,
        ),
    ] = None,
    frontier: Annotated[
        str,
        typer.Option(
            help="`simulated`, or the URL of an OpenAI-compatible API; its model, key, provider, region and prices "
            "come from SPRAT_FRONTIER__MODEL, …__API_KEY, …__PROVIDER, …__REGION, …__PRICES."
        ),
    ] = "simulated",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Keep Kafka's data, the logs and the secret in this folder between runs.",
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK/NAME=DIR",
            help="Serve the model in DIR; texts ask for it by NAME. It runs beside the shipped one, or replaces it if "
            "NAME is left out. Repeat the option for several models. Also: SPRAT_MODELS, a JSON object.",
            show_default=False,
        ),
    ] = None,
    with_service: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="SERVICE",
            parser=_on_request,
            help="Run a service that is not among the usual ones: language-id.",
            show_default=False,
        ),
    ] = None,
    with_gateway: Annotated[
        bool,
        typer.Option(
            "--gateway/--no-gateway",
            help="Take texts by HTTP and serve the page: prints a line for curl with a new API key, and the page's "
            "address, which opens it once.",
        ),
    ] = True,
    policy: Annotated[
        Path | None,
        typer.Option(
            help="The policy file. [SPRAT_POLICY, also in .env; else the demo's]",
            exists=True,
            dir_okay=False,
            readable=True,
            show_default=False,
        ),
    ] = None,
    observe: Annotated[
        bool,
        typer.Option(
            "--observe",
            help="Start what is installed of Prometheus, Alertmanager, VictoriaMetrics, VictoriaLogs, Jaeger and the "
            "OpenTelemetry Collector (on the PATH, or built by Go), and connect everything.",
        ),
    ] = False,
    start_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=1,
            help="How long the services may take to be ready; those that are still at work get five times as long. "
            "Default: 60.",
            show_default=False,
        ),
    ] = None,
    partitions: Annotated[
        int,
        typer.Option(help="Partitions of each new topic.", min=1, max=1024, envvar="SPRAT_KAFKA__PARTITIONS"),
    ] = DEFAULT_PARTITIONS,
    prefix: Annotated[str, typer.Option(help="Prefix of all topics.", envvar="SPRAT_KAFKA__PREFIX")] = DEFAULT_PREFIX,
) -> None:
    """Run Kafka, Redis and every service on this machine until Ctrl-C, and show the traffic.

    Processes that die are restarted. Without --data nothing is left afterwards, unless `sprat up` itself is killed by
    SIGKILL: its processes die with it, and the next `sprat up` or `sprat demo` removes its temporary folder. After
    Ctrl-C the services have 2.5 s to finish their current batches; unfinished texts wait in Kafka for the next run. A
    second Ctrl-C kills at once. When the folder of a --model gets a new version, its service is restarted with it:
    texts that arrive meanwhile wait, and none is lost or answered twice.
    """
    typer.echo("starting Kafka, Redis and the services")  # at once: what follows takes a second to import
    from rich.console import Console  # noqa: PLC0415 - heavy, and not needed by the other commands

    from sprat_local.installation.models import served_models  # noqa: PLC0415 - as above
    from sprat_local.installation.options import (  # noqa: PLC0415 - as above
        POLICY,
        Options,
        named_kafka_port,
    )
    from sprat_local.observe.stack import Observability  # noqa: PLC0415 - as above
    from sprat_local.up.session import UpSession  # noqa: PLC0415 - as above
    from sprat_operations.chosen_policy import chosen_policy, tasks_beside  # noqa: PLC0415 - as above
    from sprat_operations.services import GATEWAY  # noqa: PLC0415 - as above

    policy = chosen_policy(policy)
    files = tasks_beside(policy)
    options = Options(
        bootstrap=bootstrap,
        brokers=brokers,
        redis=redis,
        frontier=frontier,
        data=data,
        policy=policy or POLICY,
        task_files=files,
        partitions=partitions,
        prefix=prefix,
        usual_ports=True,
        for_commands=True,
        kafka_port=named_kafka_port(),
        models=served_models(model or (), files.table),
        on_request=(*(with_service or ()), *((GATEWAY,) if with_gateway else ())),
        afterwards=(GATEWAY,),  # nobody waits for it longer than for all others
        observability=Observability() if observe else None,
    )
    if start_timeout is not None:
        options = replace(options, ready_timeout_s=start_timeout)
    raise typer.Exit(UpSession(options, Console(highlight=False)).run())
