"""Names of models in the policy that nobody announces: a typo there would change nothing, and nobody would notice."""

import logging
import time
from collections.abc import Callable
from typing import Final

from sprat.model_table import ModelTable
from sprat.policy import Policy
from sprat.policy.unannounced import unannounced

log = logging.getLogger(__name__)

GRACE_S: Final = 30.0
"""Services that start together with the router have announced their models by then."""


class PolicyNames:
    """Warns once of the models that the policy names and nobody announces."""

    def __init__(self, policy: Policy, models: ModelTable, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._models = models
        self._clock = clock
        self._from = clock() + GRACE_S
        self._looked = False

    def look(self) -> None:
        """Look at the table, the first time that it is up to date and the grace is over."""
        if self._looked or self._clock() < self._from:
            return
        self._looked = True
        names = unannounced(self._policy, self._models.announced())
        if names:
            log.warning("the policy names models that nobody announces: %s", ", ".join(map(str, names)))
