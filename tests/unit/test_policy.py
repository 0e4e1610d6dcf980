"""The policy file: what it means, and how it says what is wrong with it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat.errors import UserError
from sprat.models import load_artefact
from sprat.policy import IntentPolicy, Policy, TaskPolicy, TenantPolicy, effective_rule, load_policy
from sprat.settings import Section
from sprat_contracts import TASKS
from sprat_intent.__main__ import IntentSection
from sprat_ner.__main__ import NerSection
from sprat_translation.__main__ import TranslationSection

SHIPPED = Path(__file__).parents[2] / "compose" / "policy.yaml"

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "policy.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def complaint(path: Path) -> str:
    """Give what loading says, without the folder."""
    with pytest.raises(UserError) as caught:
        load_policy(path)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_the_shipped_file_serves_the_demo_and_nobody_else() -> None:
    policy = load_policy(SHIPPED)
    for name in ("acme-bank", "nordic-travel"):
        assert policy.tenant(name) == TenantPolicy(frontier="allow", regions=("eu", "local"), deadline_ms=30_000)
    assert policy.tenant("default").frontier == "deny"
    assert policy.task("intent") == IntentPolicy(keep_at=0.72, out_of_scope="keep")


def test_the_shipped_files_defaults_are_the_defaults_but_for_the_models_own_recommendation() -> None:
    shipped = load_policy(SHIPPED).tasks
    plain = {task: getattr(shipped, task).model_copy(update={"keep_at": 0.8}) for task in TASKS}
    assert shipped.model_copy(update=plain) == Policy().tasks


@pytest.mark.parametrize("settings", [IntentSection, NerSection, TranslationSection])
def test_each_task_is_kept_from_where_the_shipped_models_card_says(settings: type[Section]) -> None:
    card = load_artefact(settings().artefact).card
    assert load_policy(SHIPPED).task(card.task).keep_at == card.keep_at


def test_a_whole_file_is_read(write: Write) -> None:
    policy = load_policy(
        write("""
tasks:
  intent: {keep_at: 0.7, out_of_scope: escalate}
  ner: {keep_at: 1}
tenants:
  "*": {frontier: redact, regions: [eu]}
  acme-bank: {frontier: allow, regions: [eu, us-east], deadline_ms: 1500}
""")
    )
    assert policy.task("intent") == IntentPolicy(keep_at=0.7, out_of_scope="escalate")
    assert policy.task("ner") == TaskPolicy(keep_at=1.0)
    assert policy.task("translation") == TaskPolicy(keep_at=0.8)
    assert policy.tenant("acme-bank") == TenantPolicy(frontier="allow", regions=("eu", "us-east"), deadline_ms=1500)
    assert policy.tenant("anybody") == TenantPolicy(frontier="redact", regions=("eu",), deadline_ms=30_000)


def test_a_model_of_its_own_name_has_what_its_section_says_and_else_what_the_task_says(write: Write) -> None:
    policy = load_policy(
        write("""
tasks:
  intent:
    keep_at: 0.7
    models:
      hr: {keep_at: 0.6}
      legal: {out_of_scope: escalate}
  ner: {models: {medical: {keep_at: 0.9}}}
""")
    )

    def of(task: str, model: str) -> tuple[float, str | None]:
        found = policy.task(task, model)
        return found.keep_at, getattr(found, "out_of_scope", None)

    assert of("intent", "default") == of("intent", "unknown") == (0.7, "keep")
    assert (of("intent", "hr"), of("intent", "legal")) == ((0.6, "keep"), (0.7, "escalate"))
    assert (of("ner", "medical"), of("ner", "default")) == ((0.9, None), (0.8, None))


def test_names_that_yaml_takes_for_something_else_stay_names(write: Write) -> None:
    policy = load_policy(write("tenants:\n  no: {frontier: allow, regions: [no]}\n  123: {frontier: deny}\n"))
    assert policy.tenant("no").regions == ("no",)
    assert set(policy.tenants) == {"no", "123"}


def test_without_a_policy_for_others_they_are_denied(write: Write) -> None:
    policy = load_policy(write("tenants: {a: {frontier: allow, regions: [eu]}}"))
    assert policy.tenant("b") == TenantPolicy(frontier="deny", regions=())


def test_an_unknown_task_has_no_policy() -> None:
    with pytest.raises(KeyError):
        Policy().task("model_fields")


@pytest.mark.parametrize("text_rule", ["allow", "redact", "deny"])
@pytest.mark.parametrize("tenant_rule", ["allow", "redact", "deny"])
def test_the_stricter_rule_holds(text_rule: str, tenant_rule: str) -> None:
    rules = {text_rule, tenant_rule}
    stricter = "deny" if "deny" in rules else "redact" if "redact" in rules else "allow"
    assert effective_rule(text_rule, TenantPolicy(frontier=tenant_rule, regions=("eu",))) == stricter


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(
            "tasks:\n  intent:\n    models:\n      hr:\n        keepat: 0.5\n",
            ":5:9: tasks.intent.models.hr.keepat: no such field; did you mean keep_at? known here: keep_at, out_",
            id="a typo below a model",
        ),
        pytest.param(
            "tasks:\n  ner:\n    models:\n      a b: {keep_at: 0.5}\n",
            ":4:7: tasks.ner.models.a b",
            id="a model that nobody can ask for",
        ),
        pytest.param(
            "tasks:\n  intent:\n    keep_at: high\n",
            ":3:14: tasks.intent.keep_at: 'high': input should be a valid number, unable to parse string as a number; "
            "expected: a confidence from 0 to 1",
            id="no number",
        ),
        pytest.param("tasks: {ner: {keep_at: 1.01}}", ":1:24: tasks.ner.keep_at: '1.01': input", id="above one"),
        pytest.param("tasks: {ner: {keep_at: -0.1}}", ":1:24: tasks.ner.keep_at: '-0.1': input", id="below zero"),
        pytest.param("tasks: {ner: {keep_at: nan}}", ":1:24: tasks.ner.keep_at: 'nan': input", id="not a number"),
        pytest.param("tasks: {ner: {keep_at: }}", ":1:23: tasks.ner.keep_at: '': input", id="no value"),
        pytest.param(
            "tasks:\n  intent:\n    keepat: 1\n",
            ":3:5: tasks.intent.keepat: no such field; did you mean keep_at? known here: keep_at, models, out_of_scope",
            id="a typo",
        ),
        pytest.param(
            "tasks:\n  ner: {out_of_scope: keep}\n", ":2:9: tasks.ner.out_of_scope: no such field", id="of another task"
        ),
        pytest.param(
            "tenants:\n  a: {fronteer: deny}",
            ":2:7: tenants.a.fronteer: no such field; did you mean frontier?",
            id="in a tenant",
        ),
        pytest.param(
            "tasks:\n  moods: {}\n", ":2:3: tasks.moods: no such field; known here: intent, ner", id="unknown task"
        ),
        pytest.param("task: {}", ":1:1: task: no such field; did you mean tasks?", id="unknown section"),
        pytest.param(
            "tenants:\n  a:\n    frontier: maybe\n",
            ":3:15: tenants.a.frontier: 'maybe': input should be 'allow', 'redact' or 'deny'; expected: allow: whole",
            id="unknown rule",
        ),
        pytest.param(
            "tenants:\n  a: {frontier: allow}",
            ":2:3: tenants.a: frontier is not deny, but no region",
            id="nowhere to go",
        ),
        pytest.param(
            "tenants: {a: {regions: eu}}", ":1:24: tenants.a.regions: 'eu': not a list; expected", id="no list"
        ),
        pytest.param(
            "tenants: {a: {regions: [eu, EU]}}", ":1:29: tenants.a.regions.1: 'EU': string should", id="upper case"
        ),
        pytest.param("tenants: {a: {deadline_ms: 0}}", ":1:28: tenants.a.deadline_ms: '0': input", id="no time"),
        pytest.param(
            "tenants: {a: {deadline_ms: 1.5}}", ":1:28: tenants.a.deadline_ms: '1.5': input", id="half a millisecond"
        ),
        pytest.param(
            "tenants: {a: deny}", ":1:14: tenants.a: 'deny': not a section with fields below it", id="no section"
        ),
        pytest.param("- tasks", ":1:1: the file: not a section with fields below it", id="a list"),
        pytest.param("", ": the file is empty; it needs the sections tasks, tenants", id="empty"),
        pytest.param("# nothing\n", ": the file is empty", id="comments alone"),
        pytest.param(
            "tenants:\n  a: {}\n  b: {}\n  a: {}\n", ":4:3: 'a' stands twice, first in line 2; keep one", id="twice"
        ),
        pytest.param("tasks: &t {}\ntenants: *t", ":1:8: anchors and aliases are not read; write it out", id="anchor"),
        pytest.param("tasks: *t", ":1:8: anchors and aliases are not read", id="alias"),
        pytest.param("tasks: !!python/object/apply:os.abort []", ":1:8: tags are not read; remove it", id="tag"),
        pytest.param("tasks: " + "[" * 10_000, ":1:23: nested deeper than 16 levels", id="nested flow"),
        pytest.param(
            "\n".join(" " * n + "a:" for n in range(40)), ":16:16: nested deeper than 16 levels", id="nested block"
        ),
        pytest.param("? [a]\n: b", ":1:3: a name is expected before the colon", id="a list as name"),
        pytest.param("tasks: {}\n---\ntasks: {}", ":2:1: expected a single document", id="two documents"),
        pytest.param("tasks:\n\tner: {}", ":2:1: while scanning for the next token: found character '\\t'", id="tab"),
        pytest.param("tasks: {", ":1:9: while parsing a flow node: expected the node content", id="cut off"),
        pytest.param("tasks:\n  n\0er: {}", ":2:4: a control character; remove it", id="NUL"),
        pytest.param(b"tasks: {}\n# \xfcber\n", ":2:3: not UTF-8; save the file as UTF-8", id="Latin-1"),
        pytest.param(b"#" * 300_000, ": larger than 256 KiB; that is no policy file", id="too large"),
    ],
)
def test_an_error_names_the_place_the_field_and_what_to_do(write: Write, content: str | bytes, said: str) -> None:
    told = complaint(write(content))
    assert told.startswith(f"policy.yaml{said}")
    assert "\n" not in told


def test_every_problem_has_a_line_up_to_five(write: Write) -> None:
    told = complaint(write("tasks:\n" + "".join(f"  t{n}: {{}}\n" for n in range(7)))).splitlines()
    assert [line.split(":")[1] for line in told[:5]] == ["2", "3", "4", "5", "6"]
    assert told[5:] == ["policy.yaml: and 2 more"]


def test_a_long_value_is_cut(write: Write) -> None:
    assert len(complaint(write(f"tasks: {{ner: {{keep_at: {'x' * 5000}}}}}"))) < 250


def test_a_byte_order_mark_is_no_character(write: Write) -> None:
    assert load_policy(write(b"\xef\xbb\xbftasks: {ner: {keep_at: 0.5}}")).task("ner").keep_at == 0.5


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    assert "no such policy file; give the path of one" in complaint(tmp_path / "policy.yaml")
    assert "cannot be read: Is a directory" in complaint(tmp_path)


@given(st.text(st.sampled_from("tasken: {}[]&*!?-#'\"\n\t\0,|>%@<0.8ü"), max_size=60))
def test_whatever_stands_there_is_a_policy_or_a_users_error(
    tmp_path_factory: pytest.TempPathFactory, content: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-policy.yaml"
    path.write_bytes(content.encode())
    told = ""
    try:
        load_policy(path)
    except UserError as error:
        told = str(error)
    assert not told or told.startswith(f"{path}:")
