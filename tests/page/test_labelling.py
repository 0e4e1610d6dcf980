"""Screen 5 in a real browser: reviews and hard texts are answered by keys, and published to a real Kafka."""

import json
import re
import time
from itertools import count

import pytest
from confluent_kafka import Consumer
from playwright.sync_api import Browser, Locator, Page, expect

from sprat_contracts import Envelope, IntentOutput, ModelAnnounced, ModelRef, Record, SmallAnswer, Traceparent, encode
from sprat_operations.api_keys import REREAD_S, ROLES, add_key
from support.page_door import Open, PageDoor, Stream, Text
from support.page_reviews import TOKEN, draw

LABELS = ("balance", "transfer", *(f"rare_{number}" for number in range(20)))
CARDS = ("cook_time", "freeze_card", "time", "damaged_card", "card", "time_zone", "card_fee")
numbers = count(1)


@pytest.fixture(scope="module")
def feedback(door: PageDoor) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": door.bootstrap,
            "group.id": "labels",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([door.topics.feedback])
    yield consumer
    consumer.close()


@pytest.fixture
def desk(door: PageDoor, stream: Stream):
    """Return a source of its own, whose key labels; its model is announced."""
    source = f"/desk-{next(numbers)}"
    door.keys[source] = add_key(door.keys_file, "acme", source, ("read-texts", "label"))
    door.keys |= {f"{source} {role}": add_key(door.keys_file, "acme", source, (role,)) for role in ROLES}
    time.sleep(REREAD_S)
    announced = ModelAnnounced(task="intent", version="v1", labels=LABELS, owns_from=1)
    value, headers = encode(announced, Envelope("announced", "/intent", Traceparent.root("/intent", "announced")))
    stream.publish([Record(stream.topics.models, 0, 0, 0, b"intent/default", value, tuple(headers))])
    return source


def text_of(stream: Stream, desk: str, said: str) -> Text:
    return stream.text(said, source=desk, id=f"{desk}-{next(numbers)}")


def hard(text: Text) -> list[Record]:
    """Another label than the small model's has answered."""
    small = SmallAnswer(model=ModelRef(name="en-fast", version="v1"), labels=("balance",), confidence=0.4)
    return [text.request(), text.result(output=IntentOutput(label="transfer"), small=small)]


def published(feedback: Consumer, text: Text, wait_s: float = 20) -> dict | None:
    """Return the first answer to a text; None where none comes."""
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        message = feedback.poll(0.2)
        if message is not None and message.error() is None:
            value = json.loads(message.value())
            if value["text_id"] == text.id:
                return value
    return None


def shown(page: Page, text: Text) -> Locator:
    """Return the text's form, once it is the one that is shown."""
    for _ in range(50):
        if page.get_by_text(f"of {text.id}").count():
            break
        page.wait_for_timeout(200)
        page.reload()
    expect(page.get_by_text(text.said, exact=True)).to_be_visible()
    return page.locator("form.card")


def last(page: Page) -> Locator:
    return page.get_by_role("region", name="Your last answers")


def test_reviews_come_first_and_are_answered_by_keys(
    opened: Open, door: PageDoor, stream: Stream, desk: str, feedback: Consumer
) -> None:
    difficult = text_of(stream, desk, "the models say two things of this")
    stream.publish(hard(difficult))
    first, second = text_of(stream, desk, "drawn first"), text_of(stream, desk, "drawn second")
    stream.publish([draw(first), draw(second)])
    page = opened("/label", key=desk)
    shown(page, first)
    looks = [line["text_uuid"] for line in door.log_lines("a text is shown")]
    page.keyboard.press("1")
    form = shown(page, second)
    expect(last(page)).to_contain_text("you said balance")
    expect(last(page)).not_to_contain_text("The model said")  # it can still be taken back
    expect(form.get_by_role("button", name="transfer")).to_be_visible()
    page.keyboard.press("c")
    form = shown(page, difficult)
    expect(form).to_contain_text("models disagree")
    expect(last(page)).to_contain_text("The model said transfer", timeout=10_000)
    answer = published(feedback, first)
    assert answer is not None
    assert (answer["of"], answer["token"], answer["output"]["label"], answer["verdict"]) == (
        *("review", TOKEN),
        "balance",
        None,
    )
    assert answer["by"] == door.keys[desk][1].id
    page.keyboard.press("f")
    page.keyboard.type("rare_17")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("^Nothing waits"))).to_be_visible()
    unsure = published(feedback, second)
    assert unsure is not None
    assert (unsure["verdict"], unsure["output"]["label"]) == ("cannot_tell", "transfer")
    corrected = published(feedback, difficult)
    assert corrected is not None
    assert (corrected["of"], corrected["token"], corrected["output"]["label"]) == (None, None, "rare_17")
    assert looks
    assert "drawn first" not in door.log.read_text()


def test_a_search_among_labels_takes_what_is_meant(opened: Open, stream: Stream, desk: str) -> None:
    texts = [text_of(stream, desk, f"search number {number}") for number in range(4)]
    for text in texts:
        text.options = {"intent": {"labels": (*CARDS, *LABELS)}}
    stream.publish([draw(text) for text in texts])
    page = opened("/label", key=desk)
    form, choices = shown(page, texts[0]), page.locator("#choices button:visible")
    expect(form).to_contain_text("f find a label, Enter the only one shown")
    page.keyboard.press("f")
    page.keyboard.type("card")
    expect(choices).to_have_text(["1 card", "2 card_fee", "3 freeze_card", "4 damaged_card"])
    page.keyboard.press("4")
    shown(page, texts[1])
    expect(last(page)).to_contain_text("you said damaged_card")
    page.keyboard.press("f")
    page.keyboard.type("tim")
    page.keyboard.press("Enter")  # of three: nothing is meant yet
    page.keyboard.type("e")
    expect(choices).to_have_text(["1 time", "2 time_zone", "3 cook_time"])
    page.keyboard.press("Enter")
    shown(page, texts[2])
    expect(last(page)).to_contain_text("you said time.")
    page.keyboard.press("f")
    page.keyboard.type("rare_")  # names go on with digits: none chooses
    expect(choices.first).to_have_text("rare_0")
    page.keyboard.type("1")
    expect(choices).to_have_count(11)
    page.keyboard.type("2")
    expect(choices).to_have_text(["1 rare_12"])
    page.keyboard.press("1")
    shown(page, texts[3])
    expect(last(page)).to_contain_text("you said rare_12")
    page.keyboard.press("f")
    page.keyboard.press("0")
    expect(last(page)).to_contain_text("none of the labels")


def test_an_answer_that_is_taken_back_is_not_published(
    opened: Open, stream: Stream, desk: str, feedback: Consumer
) -> None:
    text = text_of(stream, desk, "which one is it")
    stream.publish([draw(text)])
    page = opened("/label", key=desk)
    shown(page, text)
    page.keyboard.press("0")
    expect(last(page)).to_contain_text("none of the labels")
    page.keyboard.press("u")
    shown(page, text)
    expect(last(page)).to_have_count(0)
    page.get_by_role("button", name="transfer").click()
    expect(last(page)).to_contain_text("published", timeout=20_000)
    answer = published(feedback, text)
    assert answer is not None
    assert answer["output"]["label"] == "transfer"
    assert published(feedback, text, 1) is None


def test_two_people_do_not_get_the_same(opened: Open, stream: Stream, desk: str) -> None:
    first, second = text_of(stream, desk, "one of two"), text_of(stream, desk, "the other of two")
    stream.publish([draw(first)])  # alone: of two, the one that is read first is not always the one sent first
    one = opened("/label", key=desk)
    shown(one, first)
    stream.publish([draw(second)])
    other = opened("/label", key=desk)
    shown(other, second)
    one.reload()
    shown(one, first)


def test_a_key_that_lacks_a_role_sees_nothing_and_is_told(opened: Open, stream: Stream, desk: str) -> None:
    text = text_of(stream, desk, "not for every key")
    stream.publish([draw(text)])
    shown(opened("/label", key=desk), text)
    for role in ROLES:
        page = opened("/label", key=f"{desk} {role}")
        expect(page.get_by_text(re.compile("Your key does not have the role"))).to_be_visible()
        assert text.said not in page.content()


def test_it_goes_without_script(browser: Browser, door: PageDoor, stream: Stream, desk: str) -> None:
    texts = [text_of(stream, desk, f"number {number} of all") for number in range(2)]
    stream.publish([draw(text) for text in texts])
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(door.login(desk))
    page.wait_for_url(f"{door.url}/")
    page.goto(f"{door.url}/label")
    shown(page, texts[0])
    expect(page.get_by_label("Find a label")).to_be_hidden()
    page.get_by_role("button", name="rare_3", exact=True).click()
    shown(page, texts[1])
    page.get_by_role("button", name="Undo").click()
    shown(page, texts[0])
    context.close()
