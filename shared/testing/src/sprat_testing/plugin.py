"""The pytest plugin: the fixture `sprat`. It is loaded wherever this package is installed, so it imports late.

| option of pytest | values |
|---|---|
| `--sprat-models` | `fixed` (default): what the test answers; `shipped` (default of containers): Sprat's models |
| `--sprat-backend` | `embedded` (default): processes on this machine; `containers`: Docker, with Sprat's images |
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sprat_testing.stack import Sprat


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("sprat", "Sprat")
    group.addoption("--sprat-models", choices=("fixed", "shipped"), help="Who answers.")
    group.addoption("--sprat-backend", choices=("embedded", "containers"), default="embedded", help="Where Sprat runs.")


@pytest.fixture(scope="session")
def sprat_options() -> Mapping[str, Any]:
    """Return more arguments of `Sprat`, such as its policy. Override it in conftest.py."""
    return {}


@pytest.fixture(scope="session")
def sprat_session(request: pytest.FixtureRequest, sprat_options: Mapping[str, Any]) -> "Iterator[Sprat]":
    """Return Sprat, started once for all tests."""
    from sprat_testing.stack import Sprat  # noqa: PLC0415 - only where a test uses it

    chosen = {
        "models": request.config.getoption("--sprat-models"),
        "backend": request.config.getoption("--sprat-backend"),
    }
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:  # a worker of pytest-xdist has none
        chosen["on_progress"] = terminal.write_line
    with Sprat(**{**chosen, **sprat_options}) as running:
        yield running


@pytest.fixture
def sprat(sprat_session: "Sprat") -> "Iterator[Sprat]":
    """Return Sprat without the answers of other tests. Results and dead letters of other tests are still there."""
    given = sprat_session.answers
    yield sprat_session
    sprat_session.answers = given
