"""Changing one number of a policy file, and nothing else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat.errors import UserError
from sprat_policy import (
    KeepAtSource,
    NotedKeepAt,
    TierCalibration,
    load_policy,
    load_task_file,
    set_keep_at,
    set_task_keep_at,
    set_task_model,
    set_tier_calibration,
)

NOTED = "  # sprat assess: 0.90 for version 2ad9, --accuracy 0.9"
SHIPPED = """\
# What Sprat may do.
tasks:
  intent:
    # sure enough?
    keep_at: 0.75 # the default is 0.80
    out_of_scope: keep
tenants: {}
"""


def write(tmp_path, content):
    path = tmp_path / "policy.yaml"
    path.write_text(content, newline="")
    return path


def test_the_number_is_changed_and_every_comment_stays(tmp_path):
    path = write(tmp_path, SHIPPED)
    assert set_keep_at(path, "intent", 0.9) == "0.75"
    assert path.read_text() == SHIPPED.replace("0.75", "0.90")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("tenants: {}\n", id="no tasks"),
        pytest.param("tenants: {}", id="no line end"),
        pytest.param("tasks:\ntenants: {}\n", id="empty tasks"),
        pytest.param("tasks:\n    ner:\n        keep_at: 0.6\n", id="another task, four spaces"),
        pytest.param("tasks:\n  intent:\n    out_of_scope: escalate # careful\n", id="another field"),
        pytest.param("tasks: {intent: {keep_at: 0.5, out_of_scope: keep}}\n", id="on one line"),
        pytest.param("tasks:\n  intent: {keep_at: '0.5'}\n", id="quoted"),
        pytest.param("tasks:\r\n  intent:\r\n    keep_at: 0.5\r\n", id="Windows line ends"),
    ],
)
def test_a_missing_field_is_added_to_its_section(tmp_path, content):
    path = write(tmp_path, content)
    before = load_policy(path) if "tasks:\ntenants" not in content else None
    if before is None:
        with pytest.raises(UserError):
            set_keep_at(path, "intent", 0.91)
        return
    set_keep_at(path, "intent", 0.91)
    after = load_policy(path)
    assert after.tasks.intent.keep_at == 0.91
    assert after.tasks.intent.out_of_scope == before.tasks.intent.out_of_scope
    assert after.tasks.ner == before.tasks.ner
    assert path.read_bytes().count(b"\r\n") == (path.read_bytes().count(b"\n") if "\r\n" in content else 0)


def test_a_section_on_one_line_without_the_field_is_not_changed(tmp_path):
    content = "tasks: {intent: {out_of_scope: keep}}\n"
    path = write(tmp_path, content)
    with pytest.raises(UserError, match=r"tasks.intent in line 1 is written on one line; add keep_at: 0\.91"):
        set_keep_at(path, "intent", 0.91)
    assert path.read_text() == content


def test_a_file_that_is_not_a_policy_is_not_changed(tmp_path):
    path = write(tmp_path, "task: {}\n")
    with pytest.raises(UserError, match="did you mean tasks"):
        set_keep_at(path, "intent", 0.9)
    assert path.read_text() == "task: {}\n"


def test_permissions_and_links_are_kept(tmp_path):
    path = write(tmp_path, SHIPPED)
    path.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    set_keep_at(link, "intent", 0.66)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert load_policy(path).tasks.intent.keep_at == 0.66


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("tenants: {}\n", id="no tasks"),
        pytest.param(SHIPPED, id="no models"),
        pytest.param("tasks: {} # none\ntenants: {}\n", id="empty tasks"),
        pytest.param("tasks:\n  intent:\n    models: { }\n    keep_at: 0.7\n", id="empty models"),
        pytest.param("tasks:\r\n  intent: {}\r\n", id="empty task, Windows line ends"),
        pytest.param("tasks:\n  intent:\n    models:\n      it:\n        keep_at: 0.3\n", id="another model"),
        pytest.param("tasks:\n  intent:\n    models:\n      hr:\n        out_of_scope: escalate\n", id="without it"),
        pytest.param("tasks:\n  intent:\n    models:\n      hr: {keep_at: 0.5} # careful\n", id="on one line"),
    ],
)
def test_a_model_gets_a_number_of_its_own_and_the_others_keep_theirs(tmp_path, content):
    path = write(tmp_path, content)
    before = load_policy(path)
    set_keep_at(path, "intent", 0.61, "hr")
    after = load_policy(path)
    assert after.task("intent", "hr").keep_at == 0.61
    assert [after.task("intent", name).keep_at for name in ("default", "it")] == [
        before.task("intent", name).keep_at for name in ("default", "it")
    ]
    assert all(line in path.read_text().splitlines() for line in content.splitlines() if line.lstrip()[:1] == "#")


def test_models_on_one_line_are_not_changed(tmp_path):
    content = "tasks:\n  intent:\n    models: {it: {keep_at: 0.3}}\n"
    path = write(tmp_path, content)
    with pytest.raises(UserError, match=r"models in line 3 is written on one line; add hr\.keep_at: 0\.61"):
        set_keep_at(path, "intent", 0.61, "hr")
    assert path.read_text() == content


@pytest.mark.parametrize("name", ["b nk", "#x", "", "a: b", "x" * 65])
def test_an_invalid_model_name_is_refused_and_the_file_is_not_changed(tmp_path, name):
    path = write(tmp_path, SHIPPED)
    with pytest.raises(
        UserError, match=r"not a name of a model; expected: a model's name as texts ask for it: .*, as hr"
    ):
        set_keep_at(path, "intent", 0.61, name)
    assert path.read_text() == SHIPPED
    assert [each.name for each in tmp_path.iterdir()] == ["policy.yaml"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("tasks:\n  intent:\n    'models':\n    - hr\n", "not a section", id="no policy to begin with"),
        pytest.param(SHIPPED + "#" * (256 * 1024 - len(SHIPPED.encode())), "write it yourself", id="too large with it"),
        pytest.param("tasks: {intent: {models: {}}}\n", "written on one line; add hr.keep_at: 0.61", id="one line"),
        pytest.param("tasks:\n  intent:\n    models: {\n    }\n", "written on one line", id="braces"),
        pytest.param("tasks:\n  intent: {keep_at: 0.5,\n   out_of_scope: keep}\n", "one line", id="over two lines"),
    ],
)
def test_an_invalid_policy_is_never_written(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(UserError, match=message):
        set_keep_at(path, "intent", 0.61, "hr")
    assert path.read_text() == content


def test_a_full_disk_leaves_the_file_and_no_temporary_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = write(tmp_path, SHIPPED)
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        set_keep_at(path, "intent", 0.61)
    assert path.read_text() == SHIPPED
    assert [each.name for each in tmp_path.iterdir()] == ["policy.yaml"]


FLOW = ("{}", "{ }", "{hr: {}}", "{hr: {keep_at: 0.3}}", "{hr: {\n    }}", "{hr:\n      {keep_at: '0.3'}}")
BLOCK = ("\n     hr: {}", "\n      hr:\n        keep_at: 0.3", "\n      'hr': {keep_at: \"0.3\"}", "\n      it: {}")


@given(
    models=st.sampled_from([None, *FLOW, *BLOCK]),
    before=st.sampled_from(["", "# a comment\n", "tenants: {}\n"]),
    task=st.sampled_from(
        ["tasks:\n  intent:\n    keep_at: 0.5\n", "tasks: {intent: {keep_at: 0.5", "tasks:\n  ner: {}\n"]
    ),
    model=st.sampled_from([None, "hr", "it"]),
)
def test_in_any_layout_the_file_has_the_new_value_or_is_not_changed(tmp_path_factory, models, before, task, model):
    flow = "intent: {" in task
    below = "" if models is None or "ner" in task else f", models: {models}" if flow else f"    models: {models}\n"
    path = tmp_path_factory.getbasetemp() / "layout.yaml"
    content = before + task + below + ("}}\n" if flow else "")
    path.write_text(content)
    try:
        set_keep_at(path, "intent", 0.61, model)
    except UserError:
        assert path.read_text() == content
    else:
        assert load_policy(path).task("intent", model or "default").keep_at == 0.61


# The calibration of a tier

TIERS = """\
inside: [127.0.0.1]
tenants: {}
tiers:
  - preset: "ollama:phi"  # in the cellar
    keep_at: 0.8
  - name: second
    preset: "ollama:phi"
"""
FIT = TierCalibration(bias=-0.5, slope=0.25, model="phi", texts=120)
WRITTEN = 'intent: {bias: -0.5, slope: 0.25, model: "phi", texts: 120}'


def test_a_tiers_calibration_is_added_below_its_first_field_and_all_else_stays(tmp_path):
    path = write(tmp_path, TIERS)
    assert set_tier_calibration(path, "second", "intent", FIT) == ("tiers.1.calibration.intent", True)
    after = "  - name: second\n"
    assert path.read_text() == TIERS.replace(after, f"{after}    calibration:\n      {WRITTEN}\n")
    assert [dict(tier.calibration) for tier in load_policy(path).tiers] == [{}, {"intent": FIT}]
    assert set_tier_calibration(path, "second", "intent", FIT) == ("tiers.1.calibration.intent", False)


def test_another_calibration_replaces_the_one_before_and_one_for_another_task_is_added(tmp_path):
    path = write(tmp_path, TIERS)
    set_tier_calibration(path, "ollama", "intent", FIT)
    newer = FIT.model_copy(update={"bias": 1.0})
    set_tier_calibration(path, "ollama", "intent", newer)
    set_tier_calibration(path, "ollama", "mood", FIT)
    assert dict(load_policy(path).tiers[0].calibration) == {"intent": newer, "mood": FIT}
    assert path.read_text().count("calibration:") == 1
    assert "# in the cellar" in path.read_text()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(TIERS.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(TIERS.rstrip("\n"), id="no line end"),
        pytest.param(TIERS.replace("  - ", "- ").replace("    ", "  "), id="less indented"),
        pytest.param("\ufeff" + TIERS, id="byte order mark"),
        pytest.param(
            TIERS.replace('    preset: "ollama:phi"\n', '    preset: "ollama:phi"\n    tasks:\n      - ner\n'),
            id="a list",
        ),
    ],
)
def test_it_is_added_whatever_the_layout(tmp_path, content):
    path = write(tmp_path, content)
    before = load_policy(path)
    set_tier_calibration(path, "second", "intent", FIT)
    after = load_policy(path)
    assert after.tiers[1] == before.tiers[1].model_copy(update={"calibration": {"intent": FIT}})
    assert after.tiers[0] == before.tiers[0]
    raw = path.read_bytes()
    assert raw.count(b"\r\n") == (raw.count(b"\n") if "\r\n" in content else 0)


@pytest.mark.parametrize(
    "tier",
    [
        pytest.param('  - {name: second, preset: "ollama:phi"}\n', id="on one line"),
        pytest.param('  - name: second\n    preset: "ollama:phi"\n    calibration: {}\n', id="empty"),
        pytest.param(
            '  - price:\n      input_eur: 0\n      output_eur: 0\n    name: second\n    preset: "ollama:phi"\n',
            id="a section first",
        ),
    ],
)
def test_a_layout_that_is_not_safe_to_edit_is_either_edited_rightly_or_not_at_all(tmp_path, tier):
    content = TIERS.partition("  - name: second")[0] + tier
    path = write(tmp_path, content)
    said = ""
    try:
        set_tier_calibration(path, "second", "intent", FIT)
    except UserError as error:
        said = str(error)
    if said:
        assert said.endswith(f"write it yourself: tiers.1.calibration.{WRITTEN}")
        assert path.read_text() == content
    else:
        assert dict(load_policy(path).tiers[1].calibration) == {"intent": FIT}


def test_a_tier_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="no tier is called third"):
        set_tier_calibration(write(tmp_path, TIERS), "third", "intent", FIT)


def test_the_number_in_the_file_of_a_task_is_changed(tmp_path):
    path = tmp_path / "desk.yaml"
    path.write_text("kind: classification\nlabels: {badge: a card, leave: }  # two\nkeep_at: 0.8  # ours\n")
    assert set_task_keep_at(path, 0.9) == "0.8"
    assert path.read_text().endswith("{badge: a card, leave: }  # two\nkeep_at: 0.90  # ours\n")
    assert set_task_keep_at(path, 0.7, "hr") is None
    assert load_task_file(path).of("hr").keep_at == 0.7
    assert load_task_file(path).keep_at == 0.9
    with pytest.raises(UserError, match="not a name of a model"):
        set_task_keep_at(path, 0.7, "two words")


TASK = "kind: classification  # ours\nlabels: {badge: a card, leave: }\nlanguages: [en]\ninstruction: Judge.\n"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_model_of_a_task_is_written_and_all_else_stays(tmp_path, line_end):
    path = tmp_path / "desk.yaml"
    path.write_bytes(TASK.replace("\n", line_end).encode())
    assert set_task_model(path, "../desk: one", 0.7).artefact is None
    written = TASK + 'artefact: "../desk: one"\nkeep_at: 0.70\n'
    assert path.read_bytes() == written.replace("\n", line_end).encode()
    assert set_task_model(path, "../two", 1).artefact == Path("../desk: one")
    assert path.read_bytes().decode().endswith(f'artefact: "../two"{line_end}keep_at: 1.00{line_end}')
    task = load_task_file(path)
    assert (dict(task.labels), task.instruction, task.artefact) == (
        {"badge": "a card", "leave": ""},
        "Judge.",
        Path("../two"),
    )


@pytest.mark.parametrize("content", ["{kind: classification, labels: {a: , b: }}\n", TASK + "artefact: >-\n  ../a\n"])
def test_a_layout_that_cannot_be_edited_safely_is_left_alone(tmp_path, content):
    path = tmp_path / "desk.yaml"
    path.write_text(content)
    with pytest.raises(UserError):
        set_task_model(path, "../desk", 0.7)
    assert path.read_text() == content


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "tasks:\n  ner: {}\n",
            "tasks:\n  intent:\n    keep_at: 0.90  # sprat assess: 0.90 for version 2ad9, --accuracy 0.9\n  ner: {}\n",
        ),
        (
            "tasks:\n  intent:\n    keep_at: 0.8",
            "tasks:\n  intent:\n    keep_at: 0.90  # sprat assess: 0.90 for version 2ad9, --accuracy 0.9",
        ),
        (
            "tasks:\r\n  intent:\r\n    keep_at: 0.8  # sprat assess: 0.8 for version 2ad9\r\n",
            "tasks:\r\n  intent:\r\n    keep_at: 0.90  # sprat assess: 0.90 for version 2ad9, --accuracy 0.9\r\n",
        ),
        ("tasks:\n  intent:\n    keep_at: 0.8  # ours\n", "tasks:\n  intent:\n    keep_at: 0.90  # ours\n"),
        (
            "tasks:\n  ner: {keep_at: 0.9}\n  intent: {keep_at: 0.8, out_of_scope: keep}",
            "tasks:\n  ner: {keep_at: 0.9}\n  intent: {keep_at: 0.90, out_of_scope: keep}" + NOTED,
        ),
        (
            "tasks: {intent: {keep_at: 0.8}, ner: {keep_at: 0.9}}\n",
            "tasks: {intent: {keep_at: 0.90}, ner: {keep_at: 0.9}}\n",
        ),
    ],
    ids=[
        "added",
        "replaced",
        "replaced with its comment",
        "beside one of a person",
        "on one line",
        "beside another section",
    ],
)
def test_where_a_keep_at_comes_from_stands_behind_it(tmp_path, before, after):
    path = tmp_path / "policy.yaml"
    path.write_bytes(before.encode())
    set_keep_at(path, "intent", 0.9, source=KeepAtSource("2ad9", 0.9))
    assert path.read_bytes().decode() == after
    set_keep_at(path, "intent", 0.7)
    assert "sprat assess" not in path.read_bytes().decode()


@pytest.mark.parametrize(
    ("source", "written"),
    [
        (KeepAtSource("2ad9", 0.975), "version 2ad9, --accuracy 0.975"),
        (KeepAtSource("2ad9", 1.0, "provisional"), "version 2ad9, --accuracy 1, provisional"),
        (KeepAtSource("2ad9", None, "that of its card"), "version 2ad9, that of its card"),
        (
            KeepAtSource("2ad9", 0.9, "provisional", of_all=True, tenant="acme"),
            "version 2ad9, --accuracy 0.9 of all answers, --tenant acme, provisional",
        ),
    ],
    ids=["shown", "not shown", "no accuracy", "of all answers"],
)
def test_what_stands_behind_a_keep_at_is_read_back(tmp_path, source, written):
    policy, task = tmp_path / "policy.yaml", tmp_path / "desk.yaml"
    policy.write_text("\ufefftasks:\r\n  intent:\r\n    keep_at: 0.8  # ours\r\n", "utf-8", newline="")
    task.write_text(TASK)
    set_keep_at(policy, "intent", 0.9, "hr", source)
    set_task_keep_at(task, 0.7, None, source)
    set_task_keep_at(task, 0.7, "new", source)
    assert f"keep_at: 0.90  # sprat assess: 0.90 for {written}\r\n" in policy.read_bytes().decode()
    rules, desk = load_policy(policy), load_task_file(task)
    assert [rules.task("intent", name).keep_at_comment(name).source for name in ("hr", "other", "default")] == [
        source,
        None,
        None,
    ]
    assert [desk.keep_at_comment(name).source for name in ("default", "new", "other")] == [source, source, None]
    assert rules.with_added({"desk": desk}).task("desk", "new").keep_at_comment("new").source == source


@pytest.mark.parametrize(
    "comment",
    [
        "ours",
        "sprat assess: version 1x",
        "sprat assess: 0.9",
        "sprat assess: 0.8 for version",
        "sprat assess: 0.74 for version 1x, --accuracy 0.9",  # somebody changed the number
    ],
)
def test_no_other_comment_is_taken_for_one_on_this_number(tmp_path, comment):
    path = write(tmp_path, f"tasks:\n  intent: {{}}\n  ner:\n    keep_at: 0.8  # {comment}\n")
    assert load_policy(path).task("ner").keep_at_comment("default").source is None


def test_only_what_stands_behind_it_changes_where_the_number_is_the_same(tmp_path):
    path = write(tmp_path, "tasks:\n  intent:\n    keep_at: 0.8  # sprat assess: 0.8 for version 1, --accuracy 0.9\n")
    set_keep_at(path, "intent", 0.8, source=KeepAtSource("2", 0.9))
    comment = "# sprat assess: 0.80 for version 2, --accuracy 0.9; before: 0.8 for version 1, --accuracy 0.9"
    assert path.read_text().endswith(f"    keep_at: 0.8  {comment}\n")
    before = path.stat()
    set_keep_at(path, "intent", 0.8, source=KeepAtSource("2", 0.9))
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize("written", [".9", '"0.9"', "0.900"])
def test_a_number_is_known_however_it_is_written(tmp_path, written):
    path, source = write(tmp_path, f"tasks:\n  intent:\n    keep_at: {written}\n"), KeepAtSource("2ad9", 0.9)
    set_keep_at(path, "intent", 0.9, source=source)
    assert load_policy(path).task("intent").keep_at_comment("default").source == source
    assert path.read_text().endswith(f"keep_at: {written}  # sprat assess: 0.90 for version 2ad9, --accuracy 0.9\n")


@pytest.mark.parametrize("by_hand", [False, True])
def test_the_number_that_stood_there_for_another_version_is_kept_in_the_comment(tmp_path, by_hand):
    path = write(tmp_path, "tasks:\n  intent:\n    keep_at: 0.8\n")
    first, second, third = KeepAtSource("1", 0.9), KeepAtSource("2", 0.9, "provisional"), KeepAtSource("3", 0.9)
    set_keep_at(path, "intent", 0.94, source=first)
    set_keep_at(path, "intent", 0.93, source=first)
    if by_hand:
        path.write_text(path.read_text().replace("keep_at: 0.93", "keep_at: 0.96"))
        comment = load_policy(path).task("intent").keep_at_comment("default")
        assert (comment.source, str(comment.found_for("1"))) == (None, "0.93 for version 1, --accuracy 0.9")
    set_keep_at(path, "intent", 0.98, source=second)
    assert path.read_text().endswith(f"keep_at: 0.98  # sprat assess: 0.98 for {second}; before: 0.93 for {first}\n")
    set_keep_at(path, "intent", 0.97, source=second)
    comment = load_policy(path).task("intent").keep_at_comment("default")
    assert (comment.source, comment.found_for("1")) == (second, NotedKeepAt("0.93", first))
    assert comment.found_for("2") is None
    set_keep_at(path, "intent", 0.9, source=third)
    assert path.read_text().endswith(f"{third}; before: 0.97 for {second}\n"), "one of them, the latest"


def test_the_model_of_a_task_takes_away_what_stood_behind_another_models_number(tmp_path):
    path = tmp_path / "desk.yaml"
    path.write_text(TASK + "keep_at: 0.80  # sprat assess: 0.80 for version 1, --accuracy 0.9\n")
    set_task_model(path, "../desk", 0.7)
    assert load_task_file(path).keep_at_comment("default").source is None
    assert "keep_at: 0.70\n" in path.read_text()
