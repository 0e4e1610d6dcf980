"""Errors of the policy file: the position, the field, what is expected, what to do."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from conftest import WritePolicy
from sprat.base.errors import UserError
from sprat_contracts import BUILT_IN, TASKS
from sprat_policy import Policy, load_policy


def error_of(path: Path) -> str:
    """Return the error of loading a file, without its folder."""
    with pytest.raises(UserError) as caught:
        load_policy(path, BUILT_IN)
    return str(caught.value).replace(f"{path.parent}/", "")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            "tasks:\n  intent:\n    models:\n      hr:\n        keepat: 0.5\n",
            ":5:9: tasks.intent.models.hr.keepat: no such field; did you mean keep_at? "
            "known here: goal, evidence, keep_at, uncalibrated, uncalibrated_keep_at, review, on_alarm, languages, ",
            id="a typo below a model",
        ),
        pytest.param(
            "tasks:\n  ner:\n    models:\n      a b: {keep_at: 0.5}\n",
            ":4:7: tasks.ner.models.a b: not of the form expected; expected: a model's name as texts ask for it: ",
            id="a model that nobody can ask for",
        ),
        pytest.param(
            "tasks: {intent: {models: {hr: {keep_at: 65}}}}",
            ":1:41: tasks.intent.models.hr.keep_at: '65': input should be less than or equal to 1; "
            "expected: a confidence from 0 to 1",
            id="a model's number in per cent",
        ),
        pytest.param(
            "tasks: {intent: {models: {hr: {out_of_scope: drop}}}}",
            ":1:46: tasks.intent.models.hr.out_of_scope: 'drop': input should be 'keep' or 'escalate'; "
            "expected: keep: a confident 'no known intent'",
            id="a model's rule for what is outside",
        ),
        pytest.param(
            "tasks: {intent: {models: {hr: 0.65}}}",
            ":1:31: tasks.intent.models.hr: '0.65': not a section with fields below it; "
            "expected: the fields goal, evidence, keep_at, uncalibrated, uncalibrated_keep_at, ",
            id="a model without a section",
        ),
        pytest.param(
            "tasks: {intent: {models: hr}}",
            ":1:26: tasks.intent.models: 'hr': not a section with fields below it; "
            "expected: a section for each model that has its own name",
            id="a model's name alone",
        ),
        pytest.param(
            "tasks:\n  intent:\n    keep_at: high\n",
            ":3:14: tasks.intent.keep_at: 'high': input should be a valid number, unable to parse string as a number; "
            "expected: a confidence from 0 to 1",
            id="no number",
        ),
        pytest.param("tasks: {ner: {keep_at: -0.1}}", ":1:24: tasks.ner.keep_at: '-0.1': input", id="below zero"),
        pytest.param("tasks: {ner: {keep_at: nan}}", ":1:24: tasks.ner.keep_at: 'nan': input", id="not a number"),
        pytest.param("tasks: {ner: {keep_at: }}", ":1:23: tasks.ner.keep_at: '': input", id="no value"),
        pytest.param(
            "tasks:\n  ner: {out_of_scope: keep}\n", ":2:9: tasks.ner.out_of_scope: no such field", id="of another task"
        ),
        pytest.param(
            "tasks:\n  moods: {}\n",
            f":2:3: tasks.moods: no task 'moods'; known here: {', '.join(TASKS)}",
            id="unknown task",
        ),
        pytest.param(
            "tasks:\n  ner:\n    keep_at_by_language: {de: 0.95}\n",
            ":3:5: tasks.ner.keep_at_by_language: no such field any more; write languages: {de: {keep_at: 0.95}}",
            id="of an earlier version",
        ),
        pytest.param(
            "tasks: {intent: {models: {hr: {keep_at_by_language: {de: 0.95}}}}}",
            ":1:32: tasks.intent.models.hr.keep_at_by_language: no such field any more; write languages: {de: ",
            id="of an earlier version below a model",
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
            "tenants: {a: {regions: [eu, EU]}}",
            ":1:29: tenants.a.regions.1: 'EU': not of the form expected; expected: a list of the regions",
            id="upper case",
        ),
        pytest.param(
            'tenants: {"": {frontier: deny}}',
            ":1:11: tenants.: string should have at least 1 character; expected: a tenant's name, 1 to 256 characters",
            id="a tenant without a name",
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
            "tenants:\n  a: {}\n  b: {}\n  a: {}\n", ":4:3: 'a' is there twice, first in line 2; keep one", id="twice"
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
def test_an_error_names_the_position_the_field_and_what_to_do(
    write_policy: WritePolicy, content: str | bytes, expected: str
) -> None:
    message = error_of(write_policy(content))
    assert message.startswith(f"policy.yaml{expected}")
    assert "\n" not in message


def fields(section: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield all fields of a section of the file and of those below it."""
    for name, field in section.model_fields.items():
        yield f"{section.__name__}.{name}", field
        for inner in inner_sections(field.annotation):
            yield from fields(inner)


def inner_sections(kind: object) -> Iterator[type[BaseModel]]:
    for inner in (kind, *get_args(kind)):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield inner


def test_every_field_describes_what_it_expects() -> None:
    assert [name for name, field in fields(Policy) if not field.description] == []


def test_each_of_the_first_five_problems_has_a_line(write_policy: WritePolicy) -> None:
    lines = error_of(write_policy("tasks:\n" + "".join(f"  t{n}: {{}}\n" for n in range(7)))).splitlines()
    assert [line.split(":")[1] for line in lines[:5]] == ["2", "3", "4", "5", "6"]
    assert lines[5:] == ["policy.yaml: and 2 more"]


def test_a_long_value_is_cut(write_policy: WritePolicy) -> None:
    assert len(error_of(write_policy(f"tasks: {{ner: {{keep_at: {'x' * 5000}}}}}"))) < 250


def test_a_missing_file_and_a_folder_have_different_errors(tmp_path: Path) -> None:
    assert "no such policy file; give the path of one" in error_of(tmp_path / "policy.yaml")
    assert "cannot be read: Is a directory" in error_of(tmp_path)


@given(st.text(st.sampled_from("tasken: {}[]&*!?-#'\"\n\t\0,|>%@<0.8ü"), max_size=60))
def test_any_content_is_a_policy_or_a_user_error(tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any-policy.yaml"
    path.write_bytes(content.encode())
    message = ""
    try:
        load_policy(path)
    except UserError as error:
        message = str(error)
    assert not message or message.startswith(f"{path}:")
