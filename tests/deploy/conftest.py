"""The services of an earlier commit."""

import pytest

from support.old_version import EarlierVersion, NoHistoryError, earlier_commit, variables_of

SERVICES = ("intent", "ner", "translation", "router", "frontier")


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> EarlierVersion:
    """Return the earlier version; skip where the history is missing."""
    try:
        commit = earlier_commit()
    except NoHistoryError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("earlier")
    version = EarlierVersion(variables_of(commit, folder))
    own = ("desk",) if version.knows("sprat_classify/__main__.py") else ()
    version.check((*SERVICES, *own), folder)
    return version
