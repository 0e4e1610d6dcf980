"""Which records the router judges without reading the models topic again."""

import pytest

from sprat_contracts import Message, ModelAnnounced
from support.router_records import ANSWERED, MODEL, announced, answer, prediction, received, router, text


@pytest.mark.parametrize(
    ("message", "models", "knows"),
    [
        pytest.param(text(), (announced(),), False, id="a text: its model may have been withdrawn"),
        pytest.param(prediction(), (announced(),), True, id="an answer of the announced version"),
        pytest.param(prediction(), (), False, id="an answer of a model that is not known"),
        pytest.param(
            prediction(model=MODEL | {"version": "v2"}), (announced(),), False, id="an answer of a newer version"
        ),
        pytest.param(answer(**ANSWERED), (), True, id="the frontier's answer"),
    ],
)
def test_the_router_reads_the_models_again_for_what_may_depend_on_it(
    message: Message, models: tuple[ModelAnnounced, ...], *, knows: bool
) -> None:
    assert router(*models).knows_enough(received(message)) is knows
