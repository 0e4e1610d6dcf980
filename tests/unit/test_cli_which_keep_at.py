"""Which keep_at to write for the served version: one rule, in the same words for every command."""

import pytest

from sprat_cli.assess.below_card import BelowCard
from sprat_cli.which_keep_at import (
    CardKeepAt,
    FoundKeepAt,
    KeepAtAdvice,
    KeepAtInForce,
    found_advice,
    is_assessed,
    keep_at_advice,
    place_of_keep_at,
    written_name,
)
from sprat_policy import NO_FILES, KeepAtComment, KeepAtSource, NotedKeepAt, Policy, TaskFile, TaskFiles

PLACE = "tasks.intent.models.hr.keep_at"
ANOTHER = "; `sprat assess` on new texts may show a lower one"
SHOWED = ", unless `sprat assess` showed 0.89 for this version"


SERVED, OTHER = "a1b2c3d4a1b2c3d4", "6745230167452301"


def of_card(keep_at, *, provisional=False):
    return CardKeepAt(keep_at, provisional, SERVED)


def in_force(keep_at, *, by_hand=False, source=None, before=()):
    return KeepAtInForce(keep_at, by_hand or source is not None, "hr", KeepAtComment(source, tuple(before)))


@pytest.mark.parametrize("provisional", [False, True])
def test_where_the_cards_is_in_force_there_is_nothing_to_do(provisional):
    assert keep_at_advice(in_force(0.9), of_card(0.9, provisional=provisional), PLACE) is None
    assert keep_at_advice(in_force(0.9), of_card(0.901, provisional=provisional), PLACE) is None, (
        "it is written with two digits"
    )


@pytest.mark.parametrize("provisional", [False, True])
def test_a_higher_one_of_the_card_is_written(provisional):
    card = of_card(0.9, provisional=provisional)
    write, why = f"write 0.90 under {PLACE}", ": the card's keep_at is higher than 0.89, which is in force"
    assert keep_at_advice(in_force(0.89), card, PLACE) == KeepAtAdvice(write + why, card.noted, raises=True)
    own = keep_at_advice(in_force(0.89, by_hand=True), card, PLACE)
    assert own == KeepAtAdvice(write + SHOWED + why, card.noted, raises=True, may_be_shown=True)
    assert own.to_write == NotedKeepAt("0.90", KeepAtSource(SERVED, but="that of its card")), "it keeps less"


def test_a_lower_one_of_the_card_may_be_written_where_it_is_shown():
    may = f"0.80 may be written under {PLACE}"
    why = ": the card's keep_at is lower than 0.89, which is in force, and not provisional, so it keeps more"
    card = of_card(0.8)
    assert keep_at_advice(in_force(0.89), card, PLACE) == KeepAtAdvice(may + why, card.noted)
    own = keep_at_advice(in_force(0.89, by_hand=True), card, PLACE)
    assert own == KeepAtAdvice(may + SHOWED + why, card.noted, may_be_shown=True)
    assert own.to_write is None, "the owner alone knows whether 0.89 was shown"


@pytest.mark.parametrize("own", [False, True])
def test_a_lower_and_provisional_one_of_the_card_leaves_what_is_in_force(own):
    said = "leave 0.89, which is in force: the card's keep_at, 0.80, is lower and provisional; 0.89 keeps less"
    now, card = in_force(0.89, by_hand=own), of_card(0.8, provisional=True)
    assert keep_at_advice(now, card, PLACE) == KeepAtAdvice(said + ANOTHER)
    assert keep_at_advice(now, card, PLACE, assessed=False) == KeepAtAdvice(said)
    again = f"; where 0.80 was in force with this version before, it may be written again under {PLACE}"
    assert keep_at_advice(now, card, PLACE, is_back=True) == KeepAtAdvice(said + again)


@pytest.mark.parametrize("of_the_card", [of_card(0.92), of_card(0.6), of_card(0.6, provisional=True)])
def test_nothing_is_said_of_one_that_assess_showed_for_the_served_version(of_the_card):
    assert keep_at_advice(in_force(0.74, source=KeepAtSource(SERVED, 0.9)), of_the_card, PLACE) is None


@pytest.mark.parametrize(
    ("of_the_card", "by_the_card", "writes"),
    [
        (of_card(0.92), f"write 0.92 under {PLACE}: the card's keep_at is higher than 0.74, which is in force", True),
        (
            of_card(0.6, provisional=True),
            "leave 0.74, which is in force: the card's keep_at, 0.60, is lower and provisional; 0.74 keeps less",
            False,
        ),
    ],
)
@pytest.mark.parametrize("but", ["", "provisional"])
def test_one_that_assess_found_for_another_version_is_called_that_with_the_command_that_finds_its_own(
    of_the_card, by_the_card, writes, but
):
    advice = keep_at_advice(in_force(0.74, source=KeepAtSource(OTHER, 0.9, but)), of_the_card, PLACE)
    assert advice == KeepAtAdvice(
        f"0.74, which is in force, was found for version {OTHER}, not for {SERVED}: `sprat assess FILE --model DIR "
        f"--accuracy 0.9 --write --as hr` finds its own; until then, {by_the_card}",
        of_the_card.noted if writes else None,
        raises=writes,
    )


def test_the_command_that_finds_its_own_asks_for_the_same_as_then():
    then = KeepAtSource(OTHER, 0.9, of_all=True, tenant="acme")
    said = keep_at_advice(in_force(0.74, source=then), of_card(0.92), PLACE).said
    command = "`sprat assess FILE --model DIR --accuracy 0.9 --tenant acme --write --as hr`"
    assert (
        f"{command}, with the large model's answers (`--frontier-answers` or another), as then, finds its own" in said
    )


@pytest.mark.parametrize(
    "source",
    [
        KeepAtSource(SERVED, 0.9, "provisional"),
        KeepAtSource(SERVED, None, "by --budget"),
        KeepAtSource(SERVED, 0.9, "a plan by --frontier-accuracy 0.98", of_all=True),
    ],
    ids=str,
)
@pytest.mark.parametrize("of_the_card", [of_card(0.92), of_card(0.6), of_card(0.6, provisional=True)])
def test_what_assess_wrote_for_the_served_version_is_not_argued_with(source, of_the_card):
    assert keep_at_advice(in_force(0.74, source=source), of_the_card, PLACE) is None


def test_the_cards_decides_where_what_is_in_force_is_that_of_another_versions_card():
    source = KeepAtSource(OTHER, None, "that of its card")
    assert keep_at_advice(in_force(0.74, source=source), of_card(0.92), PLACE) == KeepAtAdvice(
        f"write 0.92 under {PLACE}: the card's keep_at is higher than 0.74, which is in force",
        of_card(0.92).noted,
        raises=True,
    )


@pytest.mark.parametrize(
    "now", [KeepAtSource(OTHER, 0.9), KeepAtSource(OTHER, None, "that of its card"), None], ids=str
)
@pytest.mark.parametrize("of_the_card", [of_card(0.92), of_card(0.6), of_card(0.6, provisional=True)])
def test_the_number_that_was_shown_for_a_version_goes_before_its_cards_once_it_is_back(now, of_the_card):
    before = [NotedKeepAt("0.70", KeepAtSource(SERVED, 0.9))]

    def said(value):
        held = in_force(value, by_hand=True, source=now, before=before)
        return keep_at_advice(held, of_the_card, PLACE, is_back=True)

    why = f"`sprat assess` showed it for version {SERVED}, as the comment behind 0.74 says"
    may = f"0.70 may be written again under {PLACE}: {why}; 0.74, which is in force, keeps less"
    assert said(0.74) == KeepAtAdvice(may, *before, may_be_shown=now is None)
    assert said(0.74).to_write == (None if now is None else before[0]), "one of the owner's own is not made lower"
    higher = f"write 0.70 again under {PLACE}: {why.replace('0.74', '0.65')}"
    assert said(0.65) == KeepAtAdvice(higher, *before, raises=True, may_be_shown=now is None)
    assert said(0.70) is None, "it is in force"


@pytest.mark.parametrize("but", ["provisional", "a plan by --frontier-accuracy 0.98", "that of its card"])
def test_what_was_in_force_with_the_version_that_is_back_is_so_again_shown_or_not(but):
    accuracy = None if but == "that of its card" else 0.9
    before = [NotedKeepAt("0.85", KeepAtSource(SERVED, accuracy, but))]
    held = in_force(0.80, source=KeepAtSource(OTHER, None, "that of its card"), before=before)
    advice = keep_at_advice(held, of_card(0.80), PLACE, is_back=True)
    was = f"it was in force with version {SERVED} ({before[0].source.asked}), as the comment behind 0.80 says"
    assert advice == KeepAtAdvice(f"write 0.85 again under {PLACE}: {was}", before[0], raises=True)


def test_a_number_that_somebody_changed_by_hand_is_theirs_while_the_same_version_is_served():
    before = [NotedKeepAt("0.93", KeepAtSource(SERVED, 0.9))]
    assert keep_at_advice(in_force(0.9, by_hand=True, before=before), of_card(0.9), PLACE) is None
    said = keep_at_advice(in_force(0.96, by_hand=True, before=before), of_card(0.9, provisional=True), PLACE).said
    assert said.startswith("leave 0.96, which is in force")
    again = keep_at_advice(in_force(0.96, by_hand=True, before=before), of_card(0.9), PLACE, is_back=True).said
    assert again.startswith(f"0.93 may be written again under {PLACE}")


def test_a_number_that_holds_for_two_versions_is_that_of_both():
    before = [NotedKeepAt("0.74", KeepAtSource(SERVED, 0.9))]
    assert keep_at_advice(in_force(0.74, source=KeepAtSource(OTHER, 0.9), before=before), of_card(0.92), PLACE) is None


def test_what_was_in_force_with_another_version_says_nothing_of_this_one():
    before = [NotedKeepAt("0.70", KeepAtSource(OTHER, 0.9))]
    assert keep_at_advice(in_force(0.74, source=KeepAtSource(SERVED, 0.9), before=before), of_card(0.9), PLACE) is None
    said = keep_at_advice(in_force(0.74, by_hand=True, before=before), of_card(0.92), PLACE).said
    assert said.startswith(f"write 0.92 under {PLACE}")


def test_nothing_is_said_of_assess_for_a_task_that_it_does_not_take(tmp_path):
    files = TaskFiles(
        {
            "desk": TaskFile(kind="classification", labels={"a": "", "b": ""}),
            "mood": TaskFile(kind="text", instruction="Say how the writer feels."),
        },
        tmp_path,
    )
    assert [name for name in ("intent", "ner", "desk", "mood") if is_assessed(name, files)] == ["intent", "desk"]
    own = in_force(0.8, by_hand=True)
    assert "assess" not in keep_at_advice(own, of_card(0.9), PLACE, assessed=False).said


def test_the_place_is_in_the_policy_or_in_the_file_of_the_task(tmp_path):
    files = TaskFiles({"desk": TaskFile(kind="classification", labels={"a": "", "b": ""})}, tmp_path)
    assert place_of_keep_at("intent", "hr", NO_FILES) == PLACE
    assert place_of_keep_at("ner", None, NO_FILES, "de") == "tasks.ner.keep_at_by_language.de"
    assert place_of_keep_at("desk", "new", files) == f"models.new.keep_at in {tmp_path / 'desk.yaml'}"


def test_that_of_the_default_model_is_the_tasks_unless_it_has_a_section():
    sections = Policy.model_validate({"tasks": {"intent": {"models": {"default": {"keep_at": 0.9}}}}})
    assert written_name(Policy(), "intent", "default") is None
    assert (written_name(sections, "intent", "default"), written_name(sections, "intent", "hr")) == ("default", "hr")


@pytest.mark.parametrize(
    ("found", "now", "said"),
    [
        (
            FoundKeepAt(0.83, not_shown=None, assumed=None),
            0.9,
            f"write 0.83 under {PLACE}: it is shown here, so it goes before the card's, 0.95; add it",
        ),
        (
            FoundKeepAt(0.95, not_shown=None, assumed=None),
            None,
            f"write 0.95 under {PLACE}: it is shown here, and is the card's, too; add it",
        ),
        (
            FoundKeepAt(0.83, not_shown=None, assumed=None),
            0.83,
            f"keep_at 0.83 is in force already: nothing is to be written under {PLACE}",
        ),
        (
            FoundKeepAt(0.97, not_shown="the budget chose it", assumed=None),
            0.9,
            (
                f"0.97 may be written under {PLACE}: the budget chose it, and it is no lower than the card's, 0.95, so "
                "it keeps no more; add it"
            ),
        ),
        (
            FoundKeepAt(0.83, not_shown=None, assumed=0.98),
            0.9,
            (
                "keep_at 0.83 is a plan, not a measurement: it rests on --frontier-accuracy 0.98. Until the frontier "
                f"is measured, the card's goes before it: write 0.95 under {PLACE}: the card's keep_at is higher than "
                f"0.90, which is in force. To write 0.83 under {PLACE} all the same, add it"
            ),
        ),
        (
            FoundKeepAt(0.95, not_shown=None, assumed=0.98),
            0.9,
            (
                f"write 0.95 under {PLACE}: it is the card's keep_at, and what --frontier-accuracy 0.98 gives, a plan "
                "until the frontier is measured; add it"
            ),
        ),
        (
            FoundKeepAt(0.83, not_shown=None, assumed=0.98),
            0.95,
            (
                "keep_at 0.83 is a plan, not a measurement: it rests on --frontier-accuracy 0.98. Until the frontier "
                f"is measured, the card's goes before it: 0.95, which is in force. To write 0.83 under {PLACE} all the "
                "same, add it"
            ),
        ),
    ],
)
def test_where_one_goes_that_assess_found_and_whether_before_that_of_the_card(found, now, said):
    assert found_advice(found, now, of_card(0.95), PLACE, "add it") == said


@pytest.mark.parametrize(
    ("source", "is_said"),
    [
        (KeepAtSource(SERVED, 0.9), True),
        (KeepAtSource(SERVED, 0.9, "provisional"), False),
        (KeepAtSource(SERVED, 0.8), False),
        (KeepAtSource(SERVED, 0.9, of_all=True), False),
        (KeepAtSource(OTHER, 0.9), False),
    ],
    ids=str,
)
def test_where_another_number_was_shown_for_the_same_version_both_files_are_to_be_one(source, is_said):
    found = FoundKeepAt(0.98, not_shown=None, assumed=None, accuracy=0.9)
    said = found_advice(found, 0.83, of_card(0.95), PLACE, "add it", source)
    both = ". 0.83, which is in force, was shown for this version before: where that was on other texts, assess both "
    assert said.endswith(f"; add it{both}files at once, which shows more than either") is is_said


def test_a_number_that_was_shown_stands_until_the_frontier_is_measured():
    found = FoundKeepAt(0.7, not_shown=None, assumed=0.95)
    said = found_advice(found, 0.82, of_card(0.9), PLACE, "add it", KeepAtSource(SERVED, 0.9))
    stands = (
        "Until the frontier is measured, 0.82, which is in force, stands: it was shown for this version (--accuracy "
    )
    assert f"{stands}0.9). To write 0.70 under {PLACE} all the same, add it" in said
    for source in (KeepAtSource(OTHER, 0.9), KeepAtSource(SERVED, 0.9, "provisional"), None):
        assert "write 0.90" in found_advice(found, 0.82, of_card(0.9), PLACE, "add it", source)


def test_why_a_number_that_was_shown_does_not_stand_is_said():
    said = str(BelowCard(0.83, of_card(0.95), 0.75, PLACE, by_budget=False, shown_for=KeepAtSource(SERVED, 0.9)))
    assert "; that was shown for this version (--accuracy 0.9), not for what is asked for here. More texts" in said


def test_one_in_force_that_was_found_for_another_version_may_be_noted_for_the_one_it_is_shown_for_now():
    def said(source):
        found = FoundKeepAt(0.83, not_shown=None, assumed=None)
        return found_advice(found, 0.83, of_card(0.95), PLACE, "add it", source)

    another = f"keep_at 0.83 is in force already, for version {OTHER}; to note it for this one, add it"
    assert said(KeepAtSource(OTHER, 0.9)) == another
    assert (
        said(KeepAtSource(SERVED, 0.9)) == f"keep_at 0.83 is in force already: nothing is to be written under {PLACE}"
    )


@pytest.mark.parametrize("within_reach", [True, False])
def test_more_texts_are_asked_for_only_where_they_would_show_it(within_reach):
    said = str(BelowCard(0.83, of_card(0.95), 0.75, PLACE, by_budget=False, more_may_show=within_reach))
    assert said.startswith("The keep_at of the card is higher, 0.95. Write 0.95")
    assert said.endswith("More texts may show a lower one.") is within_reach
