"""Models that were announced on a Kafka, as by an earlier run, and that an installation does not serve."""

from sprat_local.installation import Installation
from sprat_operations.models import read_standing


async def unserved(installation: Installation) -> tuple[str, ...]:
    """Give their names, as `intent/hr`. Others may serve them elsewhere.

    Raises:
        Fatal: there is no topic of models.
        Retryable: Kafka does not answer.
    """
    names, running = installation.models, installation.processes
    here = {f"{name.partition('.')[0]}/{names[name]}" for name in names if name in running}
    standing = await read_standing(installation.kafka)
    announced = [f"{each.task}/{each.model}" for each in standing.announced]
    return tuple(name for name in announced if name not in here)
