"""Models that were announced on a Kafka, as by an earlier run, and that an installation does not serve."""

from sprat.announcing import read_announced
from sprat.local.installation import Installation


async def unserved(installation: Installation) -> tuple[str, ...]:
    """Give their names, as `intent/hr`. Others may serve them elsewhere.

    Raises:
        Fatal: there is no topic of models.
        Retryable: Kafka does not answer.
    """
    names, running = installation.models, installation.processes
    here = {f"{name.partition('.')[0]}/{names[name]}" for name in names if name in running}
    announced = [f"{each.task}/{each.model}" for each in await read_announced(installation.kafka)]
    return tuple(name for name in announced if name not in here)
