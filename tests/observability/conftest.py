"""One observed installation for all proofs, with steady mixed traffic. In the Makefile's order a fault comes once."""

from collections.abc import Iterator

import pytest

from sprat.base.errors import UserError
from sprat_local.observe.programs import find_programs
from support.observed import NEEDED, ObservedRun, observed


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObservedRun]:
    try:
        found = find_programs()
    except UserError as error:
        pytest.skip(str(error))
    missing = [program.name for program in NEEDED if program not in found]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; docs/observability.md says how to get it")
    with observed(tmp_path_factory.mktemp("observed")) as running:
        yield running
