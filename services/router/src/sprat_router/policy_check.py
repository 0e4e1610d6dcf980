"""What the policy says of the announced models: the goal of each task, and names that no service announces."""

import logging
import time
from collections.abc import Callable
from typing import Final

from sprat.base.model import DEFAULT_MODEL
from sprat.registry.model_table import ModelTable
from sprat.telemetry.signals import POLICY_GOAL
from sprat_contracts.thresholds import recommended_goal
from sprat_policy import Policy, unannounced_models

log = logging.getLogger(__name__)

GRACE_S: Final = 30.0
"""Time for services that start together with the router to announce their models."""


class PolicyCheck:
    """Warns once, when the grace period is over, of names without a model: a typo would have no effect, unnoticed."""

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


def measure_goals(policy: Policy, models: ModelTable) -> None:
    """Publish goal and evidence of each task, or that a `keep_at` decides, for texts in any language."""
    series = []
    for task in policy.task_names:
        rule, announced = policy.task(task).rule(DEFAULT_MODEL, ""), models.labels(task, DEFAULT_MODEL)
        recommended = None if announced is None else announced.recommended_goal
        goal = rule.goal or recommended or recommended_goal(task)
        asked = ("none", "none") if rule.keep_at is not None else (f"{goal:g}", rule.evidence)
        series.append((1, {"task": task, "goal": asked[0], "evidence": asked[1]}))
    POLICY_GOAL.replace(series)
