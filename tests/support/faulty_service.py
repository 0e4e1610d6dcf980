"""A service that fails on demand: `python -m support.faulty_service`.

`FAULTY_SERVICE` names the service. `FAULTS` is a folder: while it holds a file, the service has the fault of that name.
"""

import os
import runpy
from collections.abc import Sequence
from pathlib import Path

from sprat import runtime
from sprat.base.retry import Deadline
from sprat.kafka.publisher import Acknowledged, NotAcknowledged, OutRecord
from sprat_encoder.label_model import LabellingModel
from sprat_frontier import redaction

MODULE = "support.faulty_service"
MASKING = "masking"
"""Every masking has a defect."""
PUBLISHING = "publishing"
"""Nothing is acknowledged."""
BREAKING_TEXT = "a text that breaks the model"


def faulty(service: str, folder: Path) -> dict[str, str]:
    """Return the variables with which a service can be made to fail."""
    return {"FAULTY_SERVICE": service, "FAULTS": str(folder), "PYTHONPATH": str(Path(__file__).parents[1])}


def main() -> None:
    """Run the service's own `__main__`, with the faults put in."""
    folder = Path(os.environ["FAULTS"])
    run, mask, answer = runtime.run_service, redaction.mask, LabellingModel.answer

    def run_faulty(name, version, settings_type, build, *more, **named):
        async def build_faulty(context, settings):
            publish = context.publisher._publish  # below what is measured: the failure is in the metrics, too

            async def publish_or_not(
                records: Sequence[OutRecord], deadline: Deadline
            ) -> tuple[dict[int, Acknowledged], list[int]]:
                if (folder / PUBLISHING).exists():
                    raise NotAcknowledged(tuple(range(len(records))), "simulated")
                return await publish(records, deadline)

            context.publisher._publish = publish_or_not
            return await build(context, settings)

        return run(name, version, settings_type, build_faulty, *more, **named)

    def mask_or_not(*arguments, **named):
        if (folder / MASKING).exists():
            raise RuntimeError("simulated")
        return mask(*arguments, **named)

    def answer_or_not(self, questions):
        if any(BREAKING_TEXT in question.text for question in questions):
            raise RuntimeError("simulated")
        return answer(self, questions)

    runtime.run_service, redaction.mask, LabellingModel.answer = run_faulty, mask_or_not, answer_or_not
    runpy.run_module(f"sprat_{os.environ['FAULTY_SERVICE']}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
