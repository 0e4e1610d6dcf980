"""Every query of every dashboard returns data over the run, after all that was done to it."""

import time

import pytest

from sprat_local.observe.programs import PROMETHEUS
from support.observed import ObservedRun
from support.observed_faults import FAULTS, noticed
from support.panels import empty_queries

pytestmark = pytest.mark.timeout(900)  # by itself it injects every fault


@pytest.fixture
def eventful_run(run: ObservedRun) -> ObservedRun:
    """Return the run after every fault: those that the tests of the alerts have not injected are injected here."""
    for name in FAULTS:
        if name not in run.noticed:
            with noticed(run, name):
                pass
    return run


def test_every_query_of_every_panel_returns_data(eventful_run: ObservedRun) -> None:
    run = eventful_run
    assert empty_queries(run.url(PROMETHEUS), run.began_s, time.time()) == []
