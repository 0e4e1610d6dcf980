"""The metric of what the policy asks of the small models' answers."""

from sprat.base.model import DEFAULT_MODEL
from sprat.registry.model_table import ModelTable
from sprat.telemetry.signals import POLICY_GOAL
from sprat_contracts.thresholds import recommended_goal
from sprat_policy import Policy


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
