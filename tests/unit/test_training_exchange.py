"""Exchanging a version and the one before it: whole, or finished by the same call, wherever it was interrupted."""

from itertools import product
from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat_training.versions.exchange import exchange, versions_to_exchange
from sprat_training.versions.model_card import check_output

BOTH = [pytest.param(*each, id=f"report now {each[0]}, before {each[1]}") for each in product((True, False), repeat=2)]


class Killed(BaseException):
    """The process ends here."""


def versions(folder, *, now=True, before=True):
    """Write two versions into a folder, each with its report or without one, and return the folder of the model."""
    for name, version, has_report in (("hr", "now", now), ("hr.previous", "before", before)):
        (folder / name).mkdir()
        (folder / name / "card.json").write_text(version)
        if has_report:
            (folder / f"{name}-report.html").write_text(f"of {version}")
    return folder / "hr"


def found(folder):
    """Return the content of each file below a folder, by its path."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def exchanged(*, now=True, before=True):
    content = {"hr/card.json": "before", "hr.previous/card.json": "now"}
    content |= {"hr-report.html": "of before"} if before else {}
    return content | ({"hr.previous-report.html": "of now"} if now else {})


def fail_at(monkeypatch, step, error):
    """Let the renames fail from one on, that one not done."""
    rename, done = Path.rename, []

    def counted(path, target):
        done.append(target)
        if len(done) >= step:
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", counted)


@pytest.mark.parametrize(("now", "before"), BOTH)
def test_each_version_keeps_its_report_and_a_second_time_undoes_it(tmp_path, now, before):
    folder = versions(tmp_path, now=now, before=before)
    as_it_was = found(tmp_path)
    assert not exchange(folder)
    assert found(tmp_path) == exchanged(now=now, before=before)
    exchange(folder)
    assert found(tmp_path) == as_it_was


@pytest.mark.parametrize("step", range(1, 9))
@pytest.mark.parametrize(("now", "before"), BOTH)
def test_an_exchange_that_was_killed_is_finished_and_not_undone(tmp_path, monkeypatch, now, before, step):
    folder = versions(tmp_path, now=now, before=before)
    with monkeypatch.context() as patch:
        fail_at(patch, step, Killed())
        try:
            exchange(folder)
        except Killed:
            begun = step > 1
        else:
            assert step > 3 + 2 * now + 2 * before
            return
    if begun:
        back, kept = versions_to_exchange(folder)
        assert [(place / "card.json").read_text() for place in (back, kept)] == ["before", "now"]
        with pytest.raises(UserError, match=r"aside: left by an exchange .* finish it first: sprat promote"):
            check_output(folder, force=True)
    assert exchange(folder) is begun
    assert found(tmp_path) == exchanged(now=now, before=before)


@pytest.mark.parametrize(("now", "before"), BOTH)
def test_where_the_version_before_cannot_be_moved_all_is_as_it_was(tmp_path, monkeypatch, now, before):
    folder = versions(tmp_path, now=now, before=before)
    as_it_was = found(tmp_path)
    rename = Path.rename

    def refused(path, target):
        if path.name == "hr.previous":
            raise OSError(16, "Device or resource busy")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(OSError, match="busy"):
        exchange(folder)
    assert found(tmp_path) == as_it_was


@pytest.mark.parametrize(
    ("folders", "name", "message"),
    [
        ((), "hr", "hr: no such folder; name that of a model of your own"),
        (("hr",), "hr", r"hr\.previous: no such folder, so no version before is kept: .* Training again from the same"),
        (("hr", "hr.previous"), "hr.previous", r"name the folder that is served, \S*hr, not the one before it"),
        (("hr.previous.aside",), "hr", "left by an exchange that was interrupted, but neither .* nor .* exist"),
        (("hr", "hr.previous", "hr.previous.aside"), "hr", "interrupted, so do .*hr and .* of these three, two are"),
        (("hr", "hr.previous"), "hr/..", "name the folder itself, from outside of it"),
    ],
)
def test_without_two_versions_nothing_is_exchanged(tmp_path, folders, name, message):
    for each in folders:
        (tmp_path / each).mkdir()
    with pytest.raises(UserError, match=message):
        versions_to_exchange(tmp_path / name)


def test_a_link_is_not_exchanged(tmp_path):
    (tmp_path / "served").symlink_to(versions(tmp_path))
    with pytest.raises(UserError, match="no link to it"):
        versions_to_exchange(tmp_path / "served")


@pytest.mark.parametrize("place", [".", "hr", "hr.previous"])
def test_a_folder_that_may_not_be_written_is_named(tmp_path, monkeypatch, place):
    folder = versions(tmp_path)
    shut = (tmp_path / place).resolve()
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path).resolve() != shut)
    with pytest.raises(UserError, match=rf"{shut}: not writable for you, so nothing is exchanged"):
        versions_to_exchange(folder)


@pytest.mark.parametrize(
    ("folders", "force", "message"),
    [
        (("hr",), False, "exists already; name another --output, or replace it with --force"),
        (("hr",), True, "not an artefact, so --force does not replace it"),
        (("hr-3",), True, "a link, beside which no version before can be kept; name the folder that it leads to"),
        (("hr/card.json", "hr.previous"), True, "not an artefact, and the version before would be kept there"),
    ],
)
def test_only_an_artefact_is_written_over_and_only_on_request(tmp_path, folders, force, message):
    for each in folders:
        if each.endswith(".json"):
            (tmp_path / each).parent.mkdir()
            (tmp_path / each).touch()
        else:
            (tmp_path / each).mkdir()
    if folders == ("hr-3",):
        (tmp_path / "hr").symlink_to("hr-3")
    with pytest.raises(UserError, match=message):
        check_output(tmp_path / "hr", force=force)
