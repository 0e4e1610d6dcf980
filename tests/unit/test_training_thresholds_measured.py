"""The content of `thresholds.json`: cells, attempts, and what changes nothing."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat_contracts.thresholds import LEVELS, NONE, SOME, Thresholds, content_version
from sprat_training.thresholds import NameRows, Purpose, Rows
from sprat_training.thresholds.certified import spend_of
from sprat_training.thresholds.wording import PARAGRAPH, paragraph
from support.measured import thresholds_of

FILE = Purpose((0.97,), "file")


def rows_of(count=600, *, wrong=0, none=0, language="en", seed=0, **given):
    """Return rows of random confidences over 0.5 that certify, the last ones wrong; five texts are outside."""
    confidence = np.sort(np.random.default_rng(seed).uniform(0.5, 1, count))[::-1]
    defaults = {
        "says_none": np.arange(count) % 3 < none,
        "languages": language,
        "certifies": np.ones(count),
        "outside": np.arange(count) < 5,
    }
    return Rows.of(confidence, np.arange(count) < count - wrong, **(defaults | given))


def measured(rows, purpose=FILE, previous=None, **changed):
    return thresholds_of(rows, purpose, previous, **({"model_version": "v1"} | changed))


def test_what_is_written_is_read_again_and_has_the_version_of_its_content():
    found = measured(rows_of(wrong=3, none=1))
    assert Thresholds.model_validate_json(found.model_dump_json()) == found
    assert found.thresholds_version == content_version(found.model_dump(mode="json"))
    assert measured(rows_of(wrong=3, none=1)) == found


def test_lower_levels_inherit_the_threshold_of_a_certified_goal_and_higher_ones_are_not_certified():
    cell = measured(rows_of()).cell(None, SOME)
    assert [each.accuracy for each in cell.certified] == [each for each in LEVELS if each <= 0.97]
    assert len({each.threshold for each in cell.certified}) == 1
    assert cell.certified[0].kept == cell.certified[0].right == 600


def test_each_level_has_the_least_threshold_of_the_goals_at_or_above_it():
    # Right to the 700th row: the walk of 99 % ends early, that of 90 % goes further.
    found = measured(rows_of(900, wrong=150), Purpose((0.9, 0.99), "traffic"))
    steps = {each.accuracy: each.threshold for each in found.cell(None, SOME).certified}
    assert steps[0.8] == steps[0.9] < steps[0.905] == steps[0.99]
    assert 0.995 not in steps
    assert found.certificate.goals == (0.9, 0.99)
    assert found.certificate.drawn == "traffic"


def test_an_answer_without_a_label_has_cells_of_its_own():
    # Of the 600 a third says none, and all of these are wrong.
    rows = rows_of(none=1)
    rows = replace(rows, right=rows.right & ~rows.says_none)
    found = measured(rows)
    assert found.accuracy(0.99, "en", SOME).certified == 0.97
    assert found.accuracy(1.0, "en", NONE) == found.accuracy(0.1, "en", NONE)
    assert found.accuracy(1.0, "en", NONE).estimated is None
    assert measured(rows_of()).cell(None, NONE) is None
    assert measured(rows_of()).accuracy(1.0, "en", NONE).estimated is None


def test_a_language_with_rows_enough_has_cells_of_its_own_which_nothing_certifies():
    parts = [rows_of(), rows_of(40, language="de-AT", wrong=10, seed=1), rows_of(32, language="fr", seed=2)]
    found = measured(Rows.concat([*parts, rows_of(9, language="", seed=3), rows_of(9, language="und", seed=4)]))
    assert {each.language for each in found.cells} == {None, "de", "en"}
    assert measured(rows_of(33, language="fr")).cell("fr", "some") is not None
    assert found.cell("de", SOME).rows == 40
    assert found.cell("de", SOME).certified == ()
    assert found.cell(None, SOME).rows == 690


def test_where_an_accuracy_is_certified_the_estimate_counts_as_reached():
    certified = rows_of(300)
    unsure = rows_of(60, wrong=60, certifies=np.zeros(60), seed=1)  # stand-ins do not certify, but are estimated with
    found = measured(Rows.concat([certified, unsure]))
    for cell in (found.cell(None, SOME), found.cell("en", SOME)):
        estimated = {each.accuracy: each for each in cell.estimated}
        for step in found.cell(None, SOME).certified:
            assert estimated[step.accuracy].threshold <= step.threshold
        # What is stated of the estimate is counted on its own rows.
        assert (estimated[0.97].kept, estimated[0.97].right) == (360, 300)


def test_an_attempt_is_counted_on_the_same_version_and_the_same_rows_change_nothing():
    first = measured(rows_of())
    assert first.certificate.attempt == 1
    assert first.certificate.spent == spend_of(1)
    shuffled = rows_of().where(np.random.default_rng(0).permutation(600))
    for same in (rows_of(), shuffled):
        assert measured(same, previous=first, at_ms=1_796_169_600_000) is first
        assert measured(same, Purpose((0.8,), "file"), previous=first) is first
    second = measured(rows_of(seed=1), previous=first)
    assert (second.certificate.attempt, second.certificate.spent) == (2, spend_of(2))
    assert [(each.attempt, each.spent) for each in second.measurements] == [(1, spend_of(1)), (2, spend_of(2))]
    assert measured(rows_of(), previous=second) is second
    reviewed = measured(rows_of(wrong=1), previous=second)
    assert reviewed.certificate.attempt == 3
    other = measured(rows_of(), previous=second, model_version="v2")
    assert other.certificate.attempt == 1
    assert len(other.measurements) == 1


def test_a_measurement_that_could_certify_nothing_is_no_attempt():
    assert measured(rows_of(115)).certificate.attempt == 1
    few = measured(rows_of(114))
    assert few.certificate is None
    assert few.measurements[0].attempt == 0
    assert few.measurements[0].spent == 0
    estimated = measured(rows_of(seed=1), None, previous=few)
    assert estimated.certificate is None
    assert estimated.measurements[1].drawn is None
    assert estimated.cell(None, SOME).certified == ()
    assert measured(rows_of(seed=2), previous=estimated).certificate.attempt == 1


def test_an_attempt_that_failed_counts():
    failed = measured(rows_of(wrong=600))
    assert failed.certificate is None
    assert failed.measurements[0].attempt == 1
    assert measured(rows_of(), previous=failed).certificate.attempt == 2


def test_the_last_twenty_measurements_are_kept_and_the_number_of_the_attempts_with_them():
    found = measured(rows_of())
    for seed in range(1, 25):
        found = measured(rows_of(50, seed=seed), previous=found)
    assert len(found.measurements) == 20
    assert found.measurements[-1].rows == 50
    assert measured(rows_of(seed=99), previous=found).certificate.attempt == 2


def test_only_rows_that_certify_do_and_one_of_each_group_of_near_doubles():
    doubles = rows_of(group=np.arange(600) // 2, outside=np.arange(600) < 6)
    certificate = measured(doubles).certificate
    assert (certificate.rows, certificate.outside) == (300, 3)
    assert measured(rows_of(certifies=np.arange(600) < 98)).certificate is None
    assert measured(rows_of(real=np.arange(600) < 98)).certificate is None


def test_rows_need_one_entry_in_each_array_and_parts_share_no_doubles():
    with pytest.raises(ValueError, match="one entry in each array"):
        Rows.of([0.5, 0.6], [True])
    joined = Rows.concat([Rows.of([0.5, 0.6], [1, 1], group=[0, 0]), Rows.of([0.7], [1], group=[0])])
    assert joined.group[0] == joined.group[1] != joined.group[2]


def test_the_paragraph_says_what_was_certified():
    certificate = measured(rows_of(), Purpose((0.995, 0.97), "file")).certificate
    assert paragraph(certificate, 0.97) == PARAGRAPH.replace("k of n", "5 of 600")
    stated = measured(rows_of(wrong=1), replace(FILE, no_outside_texts=True), measured(rows_of())).certificate
    text = paragraph(stated, 0.995)
    assert text.startswith("Certified 99.5 %: ")
    assert "below 99.5 %" in text
    assert text.endswith(
        "(--no-outside-texts). Attempt 2 on this version: it may spend 0.8 % of the 5 % that all attempts share."
    )


CONFIDENCES = st.floats(0, 1)


@given(
    st.integers(0, 2**31),
    st.sampled_from([(0.9,), (0.85, 0.95), (0.97,)]),
    CONFIDENCES,
    CONFIDENCES,
    st.sampled_from([SOME, NONE]),
    st.sampled_from(["en", "de", "fr"]),
)
def test_no_level_falls_as_the_confidence_rises_and_a_higher_goal_never_keeps_more(
    seed, goals, first, second, says, language
):
    random = np.random.default_rng(seed)
    confidence = random.beta(4, 1, 500)
    rows = Rows.of(
        confidence,
        random.random(500) < confidence ** random.uniform(0, 1),
        says_none=random.random(500) < 0.3,
        languages=random.choice(["en", "de"], 500).tolist(),
        weight=np.where(random.random(500) < 0.2, 0.3, 1.0),
        outside=random.random(500) < 0.1,
        certifies=random.random(500) < 0.9,
        group=random.integers(0, 450, 500),
    )
    found = measured(rows, Purpose(goals, "file"))
    low, high = sorted([first, second])
    below, above = (found.accuracy(each, language, says) for each in (low, high))
    assert (below.certified or 0) <= (above.certified or 0)
    assert (below.estimated or 0) <= (above.estimated or 0)
    assert (above.certified or 0) <= (above.estimated or 0)
    for cell in found.cells:
        for steps in (cell.estimated, cell.certified):
            assert all(lower.threshold <= higher.threshold for lower, higher in pairwise(steps))
            assert all(each.threshold >= 0.5 for each in steps)


def names_of(count=200, *, wrong=0, **given):
    persons = rows_of(count, wrong=wrong, certifies=None, outside=None, **given)
    return NameRows({"PER": persons, "LOC": persons.where(np.arange(0))}, persons.where(np.arange(count // 2)))


def test_names_have_cells_by_type_and_language_that_certify_nothing():
    names = NameRows(
        {"PER": Rows.concat([names_of(300, wrong=40).entities["PER"], names_of(9, language="de").entities["PER"]])},
        names_of(100).nothing_missed,
    )
    found = measured(rows_of(), names=names)
    assert [(each.language, each.label, each.rows) for each in found.entities] == [
        (None, "PER", 309),
        ("en", "PER", 300),
    ]
    assert [(each.language, each.rows) for each in found.nothing_missed] == [(None, 50), ("en", 50)]
    steps = {each.accuracy: each for each in found.entities[1].estimated}
    assert steps[0.9].kept - steps[0.9].right <= 0.1 * steps[0.9].kept
    assert found.cells == measured(rows_of()).cells
    assert Thresholds.model_validate_json(found.model_dump_json()) == found


def test_names_of_one_text_count_as_fewer_than_as_many_texts():
    alone = names_of(200).entities["PER"]
    together = replace(alone, group=np.arange(200) // 4)
    rows = [
        measured(rows_of(), names=NameRows({"PER": each}, alone.where(np.arange(0)))).entities[0].rows
        for each in (alone, together)
    ]
    assert rows == [200, 50]


def test_rows_without_names_leave_what_was_measured_of_names_with_this_version():
    named = measured(rows_of(), names=names_of())
    again = measured(rows_of(wrong=5), previous=named)
    assert (again.entities, again.nothing_missed) == (named.entities, named.nothing_missed)
    assert again.cells != named.cells
    other = measured(rows_of(wrong=5), previous=named, model_version="v2")
    assert (other.entities, other.nothing_missed) == ((), ())


def test_the_same_texts_with_other_names_are_another_measurement():
    texts, first = rows_of(), names_of()
    found = measured(texts, names=first)
    assert measured(texts, previous=found, names=first) is found
    changed = measured(texts, previous=found, names=names_of(wrong=20))
    assert changed.entities != found.entities
