"""The policy file: which answers are good enough to keep, and what may leave the house. Read by router and frontier."""

from sprat.policy.load import load_policy
from sprat.policy.perimeter import PatternRule, PerimeterPolicy, TermRule
from sprat.policy.rules import IntentPolicy, Policy, TaskPolicies, TaskPolicy, TenantPolicy, effective_rule

__all__ = [
    "IntentPolicy",
    "PatternRule",
    "PerimeterPolicy",
    "Policy",
    "TaskPolicies",
    "TaskPolicy",
    "TenantPolicy",
    "TermRule",
    "effective_rule",
    "load_policy",
]
