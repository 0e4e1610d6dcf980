"""Warn of models that the policy names and no service announces: a typo in a name would have no effect, unnoticed."""

import logging
import time
from collections.abc import Callable
from typing import Final

from sprat.registry.model_table import ModelTable
from sprat_policy import Policy, unannounced_models

log = logging.getLogger(__name__)

GRACE_S: Final = 30.0
"""Time for services that start together with the router to announce their models."""


class PolicyCheck:
    """Checks the policy's model names once, when the grace period is over."""

    def __init__(
        self,
        policy: Policy,
        models: ModelTable,
        clock: Callable[[], float] = time.monotonic,
        *,
        grace_s: float = GRACE_S,
    ) -> None:
        self._policy = policy
        self._models = models
        self._clock = clock
        self._due_s = clock() + grace_s
        self._done = False

    def run_when_due(self) -> None:
        """Check against an up-to-date table of models; do nothing before the grace period is over, or a second time."""
        if self._done or self._clock() < self._due_s:
            return
        self._done = True
        names = unannounced_models(self._policy, self._models.announced())
        if names:
            log.warning("the policy names models that no service announces: %s", ", ".join(map(str, names)))
