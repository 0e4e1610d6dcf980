"""What `sprat doctor` finds where it compares the policy with the models announced."""

import pytest

from sprat_cli.doctor.check import CheckStatus
from sprat_cli.doctor.models import check_policy
from sprat_contracts import ModelAnnounced
from sprat_policy import Policy, TaskFile, TaskFiles, load_policy

READ = "; the router reads the file when it starts"


def named(**intent):
    return Policy.model_validate({"tasks": {"intent": intent}})


STRICTER = "in the policy, stricter than its card advises"
MORE = "which is in force, and not provisional, so it keeps more"


def may_be(keep_at, place, now):
    """Return that the card's lower one may be written where another one was chosen for the model."""
    unless = f", unless `sprat assess` showed {now} for this version" if place.startswith("tasks.intent.") else ""
    return f"{keep_at} may be written under {place}{unless}: the card's keep_at is lower than {now}, {MORE}"


def advising(model, keep_at, rule="found on held-out texts"):
    card = {} if keep_at is None else {"keep_at": keep_at, "keep_at_rule": rule}
    return ModelAnnounced(task="intent", model=model, version="1", owns_from=1, card=card)


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("bnk", "did you mean bank? Announced for intent: bank, hr"),
        ("legal", "correct it, or start its service; announced for intent: bank, hr"),
    ],
)
def test_an_unannounced_model_of_the_policy_is_reported_with_a_suggestion(name, fix):
    announced = [advising("bank", None), advising("hr", None)]
    (line,) = check_policy(named(keep_at=0.72, models={name: {"keep_at": 0.9}, "hr": {}}), announced)
    assert (line.status, line.fix) == (CheckStatus.warning, fix)
    assert line.finding == f"tasks.intent.models.{name}: no model of this name is announced, so it changes nothing"


@pytest.mark.parametrize(
    ("intent", "mark", "said"),
    [
        ({"keep_at": 0.72}, CheckStatus.warning, "intent/hr: keep_at 0.72 in the policy, its card advises 0.50"),
        ({}, CheckStatus.warning, "intent/hr: keep_at 0.80 in the policy, its card advises 0.50"),
        (
            {"keep_at": 0.72, "models": {"hr": {"keep_at": 0.61}}},
            CheckStatus.ok,
            f"intent/hr: keep_at 0.61 {STRICTER}: {may_be('0.50', 'tasks.intent.models.hr.keep_at', '0.61')}{READ}",
        ),
        (
            {"keep_at": 0.72, "models": {"hr": {"out_of_scope": "escalate"}}},
            CheckStatus.warning,
            "intent/hr: keep_at 0.72 in the policy, its card advises 0.50",
        ),
    ],
)
def test_a_policy_that_differs_from_the_cards_advice_is_reported_with_both_values(intent, mark, said):
    (line,) = check_policy(named(**intent), [advising("hr", 0.5)])
    assert (line.status, line.finding) == (mark, said)
    now = said[len("intent/hr: keep_at ") :][:4]
    advice = f"0.50 may be written under tasks.intent.models.hr.keep_at: the card's keep_at is lower than {now}, "
    assert line.fix == ("" if mark is CheckStatus.ok else advice + MORE)


def test_a_lower_one_of_the_card_that_is_provisional_is_not_to_be_written():
    (line,) = check_policy(named(keep_at=0.72), [advising("hr", 0.5, "the least hundredth; provisional: 20 texts")])
    assert line.status is CheckStatus.warning
    assert line.fix == (
        "leave 0.72, which is in force: the card's keep_at, 0.50, is lower and provisional; 0.72 keeps less; "
        "`sprat assess` on new texts may show a lower one"
    )


def test_what_the_task_says_is_the_owners_choice_for_its_own_model():
    (line,) = check_policy(named(keep_at=0.72), [advising("default", 0.5)])
    assert (line.status, line.finding) == (
        CheckStatus.ok,
        f"intent/default: keep_at 0.72 {STRICTER}: {may_be('0.50', 'tasks.intent.keep_at', '0.72')}{READ}",
    )


def test_what_is_looser_than_the_card_may_come_from_an_assessment():
    (line,) = check_policy(named(models={"hr": {"keep_at": 0.77}}), [advising("hr", 0.93)])
    assert (line.status, line.finding) == (
        CheckStatus.warning,
        f"intent/hr: keep_at 0.77 in the policy, looser than its card advises, 0.93{READ}",
    )
    assert line.fix == (
        "write 0.93 under tasks.intent.models.hr.keep_at, unless `sprat assess` showed 0.77 for this version: the "
        "card's keep_at is higher than 0.77, which is in force"
    )


@pytest.mark.parametrize(("of", "said"), [("1", None), ("0", "was found for version 0, not for 1: ")])
def test_what_assess_wrote_behind_a_number_is_read(tmp_path, of, said):
    path = tmp_path / "policy.yaml"
    models = f"models:\n      hr:\n        keep_at: 0.77  # sprat assess: 0.77 for version {of}, --accuracy 0.9\n"
    path.write_text(f"tasks:\n  intent:\n    {models}")
    lines = list(check_policy(load_policy(path), [advising("hr", 0.93)]))
    assert [line.fix.partition(said or "?")[1] for line in lines] == [said or ""]
    holds = "intent/hr: keep_at 0.77 in the policy, shown for this version: --accuracy 0.9"
    assert (lines[0].finding == holds) is (said is None)


NER_CARD = {"keep_at": 0.9, "keep_at_by_language": {"de": 0.95}}
GERMAN = "ner/default, texts in de: keep_at"
FRENCH = "ner/default, texts in fr: keep_at"


@pytest.mark.parametrize(
    ("ner", "mark", "said"),
    [
        ({"keep_at": 0.9}, CheckStatus.warning, f"{GERMAN} 0.90 in the policy, its card advises 0.95"),
        (
            {"keep_at": 0.9, "keep_at_by_language": {"de": 0.8}},
            CheckStatus.warning,
            f"{GERMAN} 0.80 in the policy, looser than its card advises, 0.95{READ}",
        ),
        (
            {"keep_at": 0.9, "models": {"default": {"keep_at_by_language": {"de": 0.8}}}},
            CheckStatus.warning,
            f"{GERMAN} 0.80 in the policy, looser than its card advises, 0.95{READ}",
        ),
        (
            {"keep_at": 0.9, "keep_at_by_language": {"de": 0.95, "fr": 0.99}},
            CheckStatus.ok,
            f"{FRENCH} 0.99 {STRICTER}: {may_be('0.90', 'tasks.ner.keep_at_by_language.fr', '0.99')}{READ}",
        ),
    ],
)
def test_a_languages_threshold_is_compared_with_the_cards(ner, mark, said):
    announced = ModelAnnounced(task="ner", model="default", version="1", owns_from=1, card=NER_CARD)
    (line,) = check_policy(Policy.model_validate({"tasks": {"ner": ner}}), [announced])
    assert (line.status, line.finding) == (mark, said)
    section = ".models.default" * ("models" in ner)
    advice = f"write 0.95 under tasks.ner{section}.keep_at_by_language.de: "  # `sprat assess` takes no model of ner
    assert line.fix == "" if mark is CheckStatus.ok else line.fix.startswith(advice)


def test_who_set_another_threshold_for_all_languages_has_chosen_it_for_german_too():
    announced = ModelAnnounced(task="ner", model="default", version="1", owns_from=1, card=NER_CARD)
    lines = list(check_policy(Policy.model_validate({"tasks": {"ner": {"keep_at": 0.6}}}), [announced]))
    assert [(line.status, line.finding) for line in lines] == [
        (CheckStatus.warning, f"ner/default: keep_at 0.60 in the policy, looser than its card advises, 0.90{READ}"),
        (CheckStatus.warning, f"{GERMAN} 0.60 in the policy, looser than its card advises, 0.95{READ}"),
    ]


@pytest.mark.parametrize("advised", [0.72, None, "high", True])
def test_where_policy_and_card_agree_or_the_card_says_nothing_no_line_is_needed(advised):
    assert list(check_policy(named(keep_at=0.72), [advising("hr", advised)])) == []


def test_the_file_of_a_task_is_named_and_what_is_looser_than_the_card_is_warned_of(tmp_path):
    file = TaskFile(kind="classification", labels={"badge": "", "leave": ""}, keep_at=0.7)
    files = TaskFiles({"desk": file}, tmp_path)
    announced = ModelAnnounced(task="desk", model="default", version="1", owns_from=1, card={"keep_at": 0.9})
    (line,) = check_policy(Policy().with_added(files), [announced], files)
    assert line.status is CheckStatus.warning
    where = tmp_path / "desk.yaml"
    assert line.finding == f"desk/default: keep_at 0.70 in {where}, looser than its card advises, 0.90{READ}"
    showed = "unless `sprat assess` showed 0.70 for this version"
    higher = "the card's keep_at is higher than 0.70, which is in force"
    assert line.fix == f"write 0.90 under keep_at in {where}, {showed}: {higher}"
