"""The policy file: which answers are kept, and what may leave the perimeter."""

from sprat_policy.edit import check_model_name, keep_at_location, set_keep_at
from sprat_policy.load import load_guarded_policy, load_policy
from sprat_policy.rules import (
    ALL_OTHERS,
    IntentModelPolicy,
    IntentPolicy,
    PatternRule,
    Policy,
    PrivacyPolicy,
    TaskPolicies,
    TaskPolicy,
    TenantPolicy,
    TermRule,
    UnannouncedModel,
    compile_pattern,
    effective_rule,
    unannounced_models,
)
from sprat_policy.tenant_guard import TenantGuard

__all__ = [
    "ALL_OTHERS",
    "IntentModelPolicy",
    "IntentPolicy",
    "PatternRule",
    "Policy",
    "PrivacyPolicy",
    "TaskPolicies",
    "TaskPolicy",
    "TenantGuard",
    "TenantPolicy",
    "TermRule",
    "UnannouncedModel",
    "check_model_name",
    "compile_pattern",
    "effective_rule",
    "keep_at_location",
    "load_guarded_policy",
    "load_policy",
    "set_keep_at",
    "unannounced_models",
]
