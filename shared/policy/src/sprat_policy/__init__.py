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
from sprat_policy.section import variable_of
from sprat_policy.task_files import (
    NO_FILES,
    TASKS_FOLDER,
    TaskFile,
    TaskFiles,
    TaskKind,
    TaskSettings,
    check_task_name,
    load_task_file,
    load_task_files,
    tasks_folder,
)
from sprat_policy.tenant_guard import TenantGuard
from sprat_policy.tiers import FRONTIER, INSIDE, TierPolicy, is_relayed

__all__ = [
    "ALL_OTHERS",
    "FRONTIER",
    "INSIDE",
    "NO_FILES",
    "TASKS_FOLDER",
    "IntentModelPolicy",
    "IntentPolicy",
    "PatternRule",
    "Policy",
    "PrivacyPolicy",
    "TaskFile",
    "TaskFiles",
    "TaskKind",
    "TaskPolicies",
    "TaskPolicy",
    "TaskSettings",
    "TenantGuard",
    "TenantPolicy",
    "TermRule",
    "TierPolicy",
    "UnannouncedModel",
    "check_model_name",
    "check_task_name",
    "compile_pattern",
    "effective_rule",
    "is_relayed",
    "keep_at_location",
    "load_guarded_policy",
    "load_policy",
    "load_task_file",
    "load_task_files",
    "set_keep_at",
    "tasks_folder",
    "unannounced_models",
    "variable_of",
]
