"""One installation of containers for all tests of this folder."""

from collections.abc import Iterator

import pytest

from support.compose import Compose


@pytest.fixture(scope="session")
def compose() -> Iterator[Compose]:
    """Return an installation that is ready; it and its data are removed afterwards."""
    found = Compose()
    if reason := found.unavailable():
        pytest.skip(reason)
    try:
        found.start()
        yield found
    finally:
        found.stop()
