"""What the tests of the desk share."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from desk import Desk
from sprat_testing import Sprat


@pytest.fixture(scope="session")
def sprat_options() -> Mapping[str, Any]:
    """Return the arguments of `Sprat`: the desk's own policy."""
    return {"policy": Path(__file__).with_name("policy.yaml")}


@pytest.fixture(scope="session")
def desk(sprat_session: Sprat) -> Iterator[Desk]:
    """Return a desk that is connected to Sprat."""
    found = Desk(sprat_session.bootstrap, tenant="help-desk")
    yield found
    found.close()
