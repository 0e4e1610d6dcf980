"""A pytest plugin: fail unless the module under mutation was imported, and from the mutated copy.

Without this check a mutant would survive unnoticed where the tests import the installed package instead of the copy.
"""

import os
import sys

import pytest

NOT_IMPORTED = 70


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Set a special exit status if the tests did not import the mutated copy."""
    expected = os.environ["SPRAT_MUTATED_FILE"]
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    if exitstatus == pytest.ExitCode.OK and expected not in files:
        session.exitstatus = NOT_IMPORTED
