"""One API server for all tests of this folder."""

from collections.abc import Iterator

import pytest

from support.cluster import Cluster, running_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as found:
        yield found
