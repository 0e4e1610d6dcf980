"""A span can have the ids that a trace context already names; all others have random ones."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context

from sprat.telemetry.ids import ForcedIds, forced_ids

TRACE = 0x4BF92F3577B34DA6A3CE929D0E0E4736
SPAN = 0xA3CE929D0E0E4736


@pytest.fixture
def tracer():
    return TracerProvider(shutdown_on_exit=False, id_generator=ForcedIds()).get_tracer("test")


def test_a_root_has_the_forced_ids_and_is_not_marked_as_random(tracer):
    token = forced_ids.set((TRACE, SPAN))
    root = tracer.start_span("root").get_span_context()
    forced_ids.reset(token)
    assert (root.trace_id, root.span_id) == (TRACE, SPAN)
    assert root.trace_flags == 0x01


def test_the_next_root_is_random_again(tracer):
    token = forced_ids.set((TRACE, SPAN))
    tracer.start_span("root")
    forced_ids.reset(token)
    contexts = [tracer.start_span("other").get_span_context() for _ in range(2)]
    assert len({TRACE, *(each.trace_id for each in contexts)}) == 3
    assert len({SPAN, *(each.span_id for each in contexts)}) == 3
    assert all(each.trace_flags.random_trace_id for each in contexts)


def test_a_child_keeps_the_trace_of_its_parent(tracer):
    parent = tracer.start_span("parent")
    token = forced_ids.set((TRACE, SPAN))
    child = tracer.start_span("child", set_span_in_context(parent)).get_span_context()
    forced_ids.reset(token)
    assert (child.trace_id, child.span_id) == (parent.get_span_context().trace_id, SPAN)
