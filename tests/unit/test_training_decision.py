"""What an evaluation found at a goal, and how a report says it."""

import math

import numpy as np
import pytest

from sprat.base.errors import UserError
from sprat_cli.decision_report import decision_html, decision_lines, headline
from sprat_inference.artefact import load_artefact
from sprat_training.evaluation.decision import Decision, Goal, VersionAtGoal, cell_threshold, compare
from sprat_training.evaluation.evaluate import check_certificate, fewer_rows, why_nothing_certified
from sprat_training.evaluation.frontier import Routed
from sprat_training.evaluation.metrics import Interval
from sprat_training.thresholds import Purpose, Rows
from support.measured import thresholds_of
from support.training_files import EN_FAST


def rows(wrong_below=0.6, count=400, outside=40, languages="en", *, certifies=True):
    """Return rows whose answers are wrong below a confidence; the last ones say nothing, and are outside."""
    confidence = np.linspace(0.5, 1.0, count)
    none = np.arange(count) % (count // outside) == 0
    return Rows.of(
        confidence,
        confidence >= wrong_below,
        says_none=none,
        outside=none,
        certifies=np.full(count, certifies),
        languages=languages,
    )


def measured(of, *, goals=(0.9,), previous=None, **stated):
    return thresholds_of(of, Purpose(goals, "file", **stated), previous)


def version(of, goal, thresholds, name="hr", judged="rows"):
    return VersionAtGoal.measured(name, "a" * 16, of, thresholds, goal, judged)


def test_what_is_kept_reaches_the_goal_in_its_own_cell():
    of, goal = rows(), Goal(0.9)
    found = version(of, goal, measured(of))
    total, some, none = found.cells
    assert (total.rows, some.rows, none.rows) == (400, 360, 40)
    assert total.kept == some.kept + none.kept
    for cell in (some, none):
        assert cell.right >= 0.9 * cell.kept
        assert cell.threshold is not None
    assert found.all.kept_share == total.kept / 400


def test_certified_evidence_keeps_no_more_than_estimated():
    of = rows()
    thresholds = measured(of, goals=(0.9,))
    by = {evidence: version(of, Goal(0.9, evidence), thresholds).all.kept for evidence in ("certified", "estimated")}
    assert 0 < by["certified"] < by["estimated"]
    assert version(of, Goal(0.95, "certified"), thresholds).all.kept == 0, "no goal of 95 % was named"


def test_answers_that_name_nothing_may_have_a_goal_of_their_own_or_never_be_kept():
    of = rows()
    thresholds = measured(of)
    none = {
        of_none: version(of, Goal(0.9, of_none=of_none), thresholds).cells[2].kept for of_none in (None, 0.8, math.inf)
    }
    assert none[math.inf] == 0 < none[None] <= none[0.8]


def test_a_fixed_number_decides_in_place_of_the_goal_and_a_card_where_nothing_was_measured():
    of = rows()
    assert version(of, Goal(0.9, keep_at=0.75), measured(of)).all.kept == int((of.confidence >= 0.75).sum())
    card = load_artefact(EN_FAST).card.model_copy(update={"keep_at": 0.8, "keep_at_outside": 0.9})
    by_card = VersionAtGoal.measured("hr", card.version, of, None, Goal(0.97), card=card)
    assert (by_card.judged, by_card.cells[1].threshold, by_card.cells[2].threshold) == ("card", 0.8, 0.9)
    for goal in (Goal(0.97, "certified"), Goal(0.98)):
        assert VersionAtGoal.measured("hr", card.version, of, None, goal, card=card).all.kept == 0


def test_a_language_has_its_own_threshold_and_else_that_of_all():
    both = Rows.concat([rows(), rows(wrong_below=0.9, languages="de")])
    thresholds, goal = measured(both), Goal(0.95)
    least = {language: cell_threshold(thresholds, language, "some", goal) for language in ("en", "de", "fr")}
    assert least["en"] < least["fr"] == cell_threshold(thresholds, None, "some", goal) < least["de"]
    assert {cell.language for cell in version(both, goal, thresholds).cells} == {None, "en", "de"}


def test_what_a_file_states_is_what_was_measured():
    of, goal = rows(), Goal(0.9)
    thresholds = measured(of)
    stated = VersionAtGoal.stated("hr", "a" * 16, thresholds, goal)
    found = version(of, goal, thresholds)
    assert [(cell.says, cell.rows, cell.kept, cell.right) for cell in stated.cells] == [
        (cell.says, cell.rows, cell.kept, cell.right) for cell in found.cells
    ]
    assert stated.kept is None
    assert VersionAtGoal.stated("hr", "a" * 16, None, goal).all.rows == 0


def test_the_version_that_keeps_more_right_answers_is_better_and_what_is_alike_is_not_shown():
    goal = Goal(0.9)
    good, bad = rows(), rows(wrong_below=0.95)
    new, served = (version(of, goal, measured(of), name) for of, name in ((good, "new"), (bad, "old")))
    found = compare(served, new, goal, good)
    assert found.verdict == "better"
    assert compare(new, served, goal, good).verdict == "worse"
    assert compare(new, new, goal, good).verdict == "not shown"
    decision = Decision("intent", goal, served, new, found, 400, 40, "rows.csv")
    assert headline(decision).startswith(
        "new is better than old at goal 90 % (estimated, on average): kept and right +"
    )
    assert decision.as_json["compared"]["gained"] == found.gained
    assert decision.as_json["verdict"] == "better"


def test_a_report_escapes_what_comes_from_files_and_controls_no_terminal():
    of, goal = rows(), Goal(0.9)
    decision = Decision("intent", goal, None, version(of, goal, measured(of), "<b>\x1b[2J"), notes=("<script>",))
    page = decision_html(decision)
    assert "<b>" not in page
    assert "<script>" not in page
    assert not any("\x1b[2J" in line for line in decision_lines(decision))


def test_a_report_of_many_languages_fits_a_screen_and_says_what_it_leaves_out():
    parts = [rows(languages=language) for language in ("en", "de", "fr", "es", "it", "nl", "pl", "pt", "sv")]
    both, goal = Rows.concat(parts), Goal(0.9)
    found = version(both, goal, measured(both))
    lines = decision_lines(Decision("intent", goal, found, found, rows=3600))
    assert len(lines) <= 40
    assert sum("more cells" in line for line in lines) == 2


def test_the_routing_stands_in_the_report():
    of, goal = rows(), Goal(0.9)
    share = Interval(0.98, 0.97, 0.99)
    routed = Routed(0.25, share, share, Interval(50.0, 40.0, 60.0), (), 0)
    lines = decision_lines(Decision("intent", goal, None, version(of, goal, measured(of)), routed=routed))
    assert "with the frontier: 98.0% (97.0% to 99.0%) of all answers right, 25.0 % escalated, 50.00 EUR" in " ".join(
        lines
    )


def test_no_certificate_is_lost_unasked(tmp_path):
    of = rows()
    before = measured(of)
    assert before.certificate is not None
    fewer, none = (
        measured(rows(count=240), previous=before),
        measured(rows(count=300, certifies=False), previous=before),
    )
    for after, said in ((fewer, "this one on 240"), (none, "these rows certify nothing")):
        with pytest.raises(UserError, match=said):
            check_certificate(tmp_path / "thresholds.json", before, after)
    more = measured(rows(count=800), previous=before)
    for old, new in ((None, none), (before, more), (before, before), (none, fewer)):
        check_certificate(tmp_path / "thresholds.json", old, new)


@pytest.mark.parametrize(
    ("of", "stated", "why"),
    [
        (rows(certifies=False), {}, "no row may certify"),
        (Rows.of([0.9] * 99, [True] * 99, certifies=[True] * 99), {}, "no row is outside every label"),
        (rows(count=30, outside=3), {}, "90 % needs 34 rows of one kind that certify"),
        (rows(wrong_below=0.99), {}, "too many of the surest answers are wrong"),
        (rows(), {}, None),
    ],
    ids=["none", "inside", "few", "wrong", "certified"],
)
def test_why_nothing_is_certified_is_said(of, stated, why):
    said = why_nothing_certified(of, Purpose((0.9,), "file", **stated), measured(of, **stated))
    assert [why in line for line in said] == ([] if why is None else [True])


def test_levels_of_fewer_rows_than_so_far_are_remarked():
    many, few = measured(rows(count=400)), measured(rows(count=40, outside=4))
    assert fewer_rows(many, few).startswith("the levels so far rest on 400 rows, these on 40")
    assert [fewer_rows(before, many) for before in (None, few, many)] == ["", "", ""]


def test_the_rows_that_a_certificate_needs_are_those_of_the_attempt():
    failed = measured(rows(wrong_below=0.99))
    assert [each.attempt for each in failed.measurements] == [1]
    few = rows(count=40, outside=4)
    second = measured(few, previous=failed)
    assert [each.attempt for each in second.measurements] == [1, 0]
    assert "90 % needs 47 rows" in why_nothing_certified(few, Purpose((0.9,), "file"), second)[0]


def test_a_version_states_no_more_kept_than_rows():
    found = measured(rows(wrong_below=0.5))
    cells = [
        each.model_copy(update={"rows": each.rows * 0.9}) if each.language is None else each for each in found.cells
    ]
    stated = VersionAtGoal.stated(
        "hr", "a" * 16, found.model_copy(update={"cells": tuple(cells)}), Goal(0.9, evidence="certified")
    )
    assert stated.all.kept > 0
    assert all(each.kept <= each.rows and each.right <= each.kept for each in stated.cells)
