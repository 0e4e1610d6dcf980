"""The desk, tested against Sprat: each test says what the models answer, and looks at what the desk makes of it."""

import time
import uuid

from desk import PEOPLE, Desk
from sprat_testing import Sprat


def sorted_into(desk: Desk, text: str) -> str:
    """Submit a ticket and return the queue that it gets within 20 seconds."""
    ticket = str(uuid.uuid4())
    desk.submit(ticket, text)
    end = time.monotonic() + 20
    while ticket not in desk.queues and time.monotonic() < end:
        desk.sort_one(timeout_s=1)
    return desk.queues[ticket]


def test_a_ticket_goes_to_the_queue_of_its_intent(sprat: Sprat, desk: Desk) -> None:
    sprat.answer("card", intent="card_lost")
    assert sorted_into(desk, "I have lost my card") == "cards"


def test_an_intent_that_the_desk_does_not_know_is_for_people(sprat: Sprat, desk: Desk) -> None:
    sprat.answer("weather", intent="weather")
    sprat.answer("poem", intent=None)  # outside every intent
    assert sorted_into(desk, "how is the weather") == PEOPLE
    assert sorted_into(desk, "write me a poem") == PEOPLE


def test_an_unsure_answer_is_for_people_where_the_large_model_does_not_answer(sprat: Sprat, desk: Desk) -> None:
    sprat.answer("card", intent="card_lost", level=0.9)  # below the goal: a hard case
    sprat.answer("card", declines="provider", frontier=True)
    assert sorted_into(desk, "something about a card") == PEOPLE


def test_the_large_model_sorts_a_hard_case_without_seeing_who_wrote_it(sprat: Sprat, desk: Desk) -> None:
    sprat.answer("money", intent="card_lost", confidence=0.4)  # more likely wrong than right
    sprat.answer("from [EMAIL_1]", intent="transfer", frontier=True)  # the text as it leaves
    assert sorted_into(desk, "move money, from ada@example.com") == "payments"
    sprat.settle()
    (result,) = (each for each in sprat.results() if each.source == "frontier")
    assert result.egress is not None
    assert result.egress.masked == {"EMAIL": 1}


def test_an_empty_ticket_is_a_dead_letter_that_somebody_must_see(sprat: Sprat, desk: Desk) -> None:
    before = len(sprat.dead_letters())
    desk.submit("empty", "   ")
    sprat.settle()
    (letter,) = sprat.dead_letters()[before:]
    assert (letter.reason.code, letter.reason.detail) == ("invalid_text", "text: the text is blank")
