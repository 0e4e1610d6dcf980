"""Which records the router judges without reading the models topic again."""

import pytest

from sprat.processing.batch_steps import Need
from sprat_contracts import Message, ModelAnnounced
from support.router_records import ANSWERED, MODEL, announced, answer, prediction, received, router, text


@pytest.mark.parametrize(
    ("message", "models", "need"),
    [
        pytest.param(text(), (announced(),), "soon", id="a text: its model may have been withdrawn"),
        pytest.param(text(), (), "now", id="a text that no known model serves"),
        pytest.param(text(tasks={"intent": {"model": "own"}}), (announced(),), "now", id="a text for another model"),
        pytest.param(prediction(), (announced(),), "none", id="an answer of the announced version"),
        pytest.param(prediction(), (), "now", id="an answer of a model that is not known"),
        pytest.param(
            prediction(model=MODEL | {"version": "v2"}), (announced(),), "now", id="an answer of a newer version"
        ),
        pytest.param(answer(**ANSWERED), (), "none", id="the frontier's answer"),
    ],
)
def test_the_router_reads_the_models_again_for_what_may_depend_on_it(
    message: Message, models: tuple[ModelAnnounced, ...], need: Need
) -> None:
    assert router(*models).needs_refresh(received(message)) == need
