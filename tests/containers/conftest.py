"""One installation of containers for all tests of this folder."""

import secrets
from collections.abc import Iterator

import pytest

from support.compose import Compose, unavailable


@pytest.fixture(scope="session")
def compose() -> Iterator[Compose]:
    """Return an installation that is ready; it and its data are removed afterwards."""
    if reason := unavailable():
        pytest.skip(reason)
    found = Compose(f"sprat-test-{secrets.token_hex(3)}")
    try:
        found.up()
        yield found
    finally:
        found("down", "--volumes", "--timeout", "5")
