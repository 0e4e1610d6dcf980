"""A service that fails on demand: `python -m support.faulty_service`.

`FAULTY_SERVICE` names the service. `FAULTS` is a folder: while it holds a file, the service has the fault of that name.
"""

import os
import runpy
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from sprat import runtime
from sprat.kafka.publisher import Acknowledged, NotAcknowledged, OutRecord, Publisher
from sprat_encoder.label_model import LabellingModel
from sprat_frontier import redaction
from sprat_operations.services import GATEWAY

MODULE = "support.faulty_service"
MASKING = "masking"
"""Every masking has a defect."""
PUBLISHING = "publishing"
"""Nothing is acknowledged."""
Publish = Callable[..., Awaitable[tuple[dict[int, Acknowledged], list[int]]]]
BREAKING_TEXT = "a text that breaks the model"


def faulty(service: str, folder: Path) -> dict[str, str]:
    """Return the variables with which a service can be made to fail."""
    return {"FAULTY_SERVICE": service, "FAULTS": str(folder), "PYTHONPATH": str(Path(__file__).parents[1])}


def main() -> None:
    """Run the service's own `__main__`, with the faults put in."""
    folder = Path(os.environ["FAULTS"])
    break_models(folder)
    if os.environ["FAULTY_SERVICE"] == GATEWAY:  # its life is not that of a service with loops
        Publisher._publish = unless_broken(folder, Publisher._publish)
    else:
        break_publishing(folder)
    runpy.run_module(f"sprat_{os.environ['FAULTY_SERVICE']}", run_name="__main__", alter_sys=True)


def unless_broken(folder: Path, publish: Publish) -> Publish:
    """Return a way to publish that nothing acknowledges while that fault is there."""

    async def publish_or_not(*arguments: Any) -> tuple[dict[int, Acknowledged], list[int]]:
        records: Sequence[OutRecord] = arguments[-2]
        if (folder / PUBLISHING).exists():
            raise NotAcknowledged(tuple(range(len(records))), "simulated")
        return await publish(*arguments)

    return publish_or_not


def break_publishing(folder: Path) -> None:
    run = runtime.run_service

    def run_faulty(name, version, settings_type, build, *more, **named):
        async def build_faulty(context, settings):
            # Below what is measured: the failure is in the metrics, too.
            context.publisher._publish = unless_broken(folder, context.publisher._publish)
            return await build(context, settings)

        return run(name, version, settings_type, build_faulty, *more, **named)

    runtime.run_service = run_faulty


def break_models(folder: Path) -> None:
    mask, answer = redaction.mask, LabellingModel.answer

    def mask_or_not(*arguments, **named):
        if (folder / MASKING).exists():
            raise RuntimeError("simulated")
        return mask(*arguments, **named)

    def answer_or_not(self, questions):
        if any(BREAKING_TEXT in question.text for question in questions):
            raise RuntimeError("simulated")
        return answer(self, questions)

    redaction.mask, LabellingModel.answer = mask_or_not, answer_or_not


if __name__ == "__main__":
    main()
