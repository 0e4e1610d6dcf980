"""Each screen in a real browser, by role and text: a real door reads what services have written to a real Kafka."""

import json
import re
import time
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from sprat_contracts import Egress, Envelope, ModelAnnounced, ModelRef, Record, Traceparent, encode
from sprat_operations.api_keys import REREAD_S, add_key, revoke_key
from support.measured import thresholds
from support.page_door import SOURCE, TENANT, Open, PageDoor, Stream, Text

SECRET = "my IBAN is DE89 3704 0044 0532 0130 00"
SENT = "my IBAN is [IBAN_1]"
SMALL = ModelRef(name="en-fast", version="v1")


@dataclass
class Shop:
    """What happened before the page was opened."""

    kept: Text
    escalated: Text
    rejected: Text


@pytest.fixture(scope="module")
def shop(stream: Stream) -> Shop:
    kept, escalated, rejected = stream.text(), stream.text(SECRET), stream.text("no such task")
    stream.publish([announcement(stream, "v0")])
    stream.publish([kept.prediction(), kept_result(kept)])
    stream.publish(
        [
            escalated.prediction(),
            escalated.request(),
            escalated.call("attempt", 30),
            escalated.call("outcome", 190),
            escalated.answer(sent=SENT, egress=left()),
            escalated.result(egress=left(), model=ModelRef(name="large", version="large"), cost_eur=0.0021),
        ]
    )
    stream.publish([rejected.letter(rejected.text()), announcement(stream, "v1")])
    return Shop(kept, escalated, rejected)


def kept_result(text: Text) -> Record:
    return text.result(decision="kept", reason="confident", model=SMALL, confidence=0.93)


def left() -> Egress:
    return Egress(left=True, masked={"IBAN": 1}, provider="mistral", region="eu", call_id="call-1")


def announcement(stream: Stream, version: str) -> Record:
    model = ModelAnnounced(
        task="intent",
        version=version,
        labels=("balance", "transfer"),
        label_set="s",
        languages=("en",),
        owns_from=1_764_000_000_000,
        card={"licence": "CC-BY-4.0"},
        thresholds=thresholds(model_version=version),
    )
    value, headers = encode(model, Envelope(version, "/intent", Traceparent.root("/intent", version)))
    return Record(stream.topics.models, 0, 0, 0, b"intent/default", value, tuple(headers))


def figure(page: Page, name: str) -> Locator:
    return page.locator(".figures > div").filter(has=page.get_by_text(name, exact=True)).locator("dd").first


def test_the_overview_counts_and_draws(opened: Open, shop: Shop) -> None:
    page = opened("/?span=hour")
    expect(figure(page, "Kept")).to_have_text("1", timeout=10_000)
    expect(figure(page, "Escalated")).to_have_text("1")
    expect(figure(page, "Spent")).to_have_text("€0.0021")
    expect(page.get_by_role("img", name=re.compile("Texts and Results"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^intent"))).to_be_visible()
    page.get_by_role("link", name="Day").click()
    expect(page).to_have_url(re.compile("span=day"))
    expect(page.get_by_role("heading", name="In the last day")).to_be_visible()


def test_a_result_appears_on_the_live_screen_without_a_reload(opened: Open, stream: Stream, shop: Shop) -> None:
    page = opened("/live")
    expect(page.get_by_role("link", name=shop.kept.id, exact=True)).to_be_visible()
    text = stream.text()
    stream.publish([text.prediction(), kept_result(text)])
    expect(page.get_by_role("link", name=text.id, exact=True)).to_be_visible(timeout=10_000)
    expect(page.locator("#counted")).to_contain_text("1 of 1")
    expect(page.get_by_text("characters, en").first).to_be_visible()


def test_a_filter_of_the_live_screen_stands_in_its_address(opened: Open, stream: Stream, shop: Shop) -> None:
    page = opened("/live")
    page.get_by_label("Decision").select_option("escalated")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile("decision=escalated"))
    expect(page.get_by_role("link", name=shop.escalated.id, exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=shop.kept.id, exact=True)).to_have_count(0)
    others, wanted = stream.text(), stream.text()
    stream.publish([kept_result(others), wanted.request(), wanted.result(egress=left())])
    expect(page.get_by_role("link", name=wanted.id, exact=True)).to_be_visible(timeout=10_000)
    expect(page.get_by_role("link", name=others.id, exact=True)).to_have_count(0)


def test_the_live_screen_pauses(opened: Open, stream: Stream, shop: Shop) -> None:
    page = opened("/live")
    page.keyboard.press("s")
    expect(page.get_by_role("button", name="Go on")).to_have_attribute("aria-pressed", "true")
    unseen = stream.text()
    stream.publish([kept_result(unseen)])
    other = opened("/live")
    expect(other.get_by_role("link", name=unseen.id, exact=True)).to_be_visible(timeout=10_000)
    expect(page.get_by_role("link", name=unseen.id, exact=True)).to_have_count(0)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("what comes meanwhile is not shown")).to_have_count(0)
    seen = stream.text()
    stream.publish([kept_result(seen)])
    expect(page.get_by_role("link", name=seen.id, exact=True)).to_be_visible(timeout=10_000)


def find(page: Page, text: Text) -> None:
    page.keyboard.press("/")
    page.keyboard.type(text.id)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=text.id)).to_be_visible()


def test_one_text_shows_each_hop_and_what_left_and_hides_what_it_says(opened: Open, door: PageDoor, shop: Shop) -> None:
    page = opened()
    find(page, shop.escalated)
    path = page.get_by_role("list").filter(has_text="prediction")
    for topic in ("texts", "predictions.intent", "frontier.requests", "audit.egress", "frontier.answers", "results"):
        expect(path).to_contain_text(f"{door.topics.prefix}.{topic}")
    expect(path).to_contain_text(f"partition {shop.escalated.place[1]}, offset {shop.escalated.place[2]}")
    expect(page.get_by_role("region", name="Task intent")).to_contain_text("transfer")
    expect(page.get_by_text("1 IBAN").first).to_be_visible()
    expect(page.get_by_text("call-1")).to_be_visible()
    expect(page.get_by_role("link", name="Trace")).to_have_attribute(
        "href", f"http://127.0.0.1:9/trace/{shop.escalated.traceparent.trace_id}"
    )
    assert "DE89" not in page.content()
    assert "[IBAN_1]" not in page.content()


def test_a_look_at_a_text_is_logged_with_its_key(opened: Open, door: PageDoor, shop: Shop) -> None:
    page = opened()
    find(page, shop.escalated)
    before = len(door.log_lines("a text is shown"))
    page.get_by_role("link", name="Show the text").click()
    expect(page.get_by_text(SECRET)).to_be_visible()
    expect(page.get_by_text(SENT, exact=True)).to_be_visible()
    (look,) = door.log_lines("a text is shown")[before:]
    assert look["key_id"] == door.keys["reader"][1].id
    assert look["text_uuid"] in page.url
    assert "DE89" not in door.log.read_text()


def test_a_key_without_the_role_sees_no_text_whatever_it_asks_for(opened: Open, shop: Shop) -> None:
    page = opened(key="sender")
    find(page, shop.escalated)
    expect(page.get_by_role("link", name="Show the text")).to_have_count(0)
    page.goto(f"{page.url}?show=1")
    expect(page.get_by_role("heading", level=1, name=shop.escalated.id)).to_be_visible()
    assert "DE89" not in page.content()
    assert "[IBAN_1]" not in page.content()


def test_a_text_of_another_source_does_not_exist(opened: Open, shop: Shop) -> None:
    page = opened()
    find(page, shop.escalated)
    address = page.url
    other = opened(key="other", expected="404")
    other.goto(address)
    expect(other.get_by_role("heading", name="Not found")).to_be_visible()
    other.goto(address.rpartition("/texts/")[0] + "/live")
    expect(other.get_by_role("link", name=shop.escalated.id, exact=True)).to_have_count(0)


def test_a_dead_letter_says_why_and_how_to_replay_it(opened: Open, shop: Shop) -> None:
    page = opened()
    find(page, shop.rejected)
    letter = page.get_by_role("region", name="Dead letter")
    expect(letter).to_contain_text("invalid_text")
    expect(letter).to_contain_text("sprat dlq replay")
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("heading", name=re.compile("invalid_text"))).to_be_visible()


def test_models_have_a_curve_and_the_one_before(opened: Open, shop: Shop) -> None:
    page = opened("/models")
    model = page.get_by_role("region", name="intent default")
    expect(model).to_contain_text("CC-BY-4.0")
    expect(model).to_contain_text("v0")
    expect(model.get_by_role("img", name=re.compile("From which confidence")).first).to_be_visible()
    expect(model).to_contain_text("sprat promote")


def test_privacy_sums_what_left(opened: Open, shop: Shop) -> None:
    page = opened("/privacy")
    row = page.get_by_role("row", name=re.compile("^acme"))
    expect(row).to_contain_text("mistral")
    expect(row).to_contain_text("eu")
    expect(page.get_by_text("sprat audit verify")).to_be_visible()


def test_a_text_that_is_tried_fills_its_path_while_it_is_under_way(opened: Open, stream: Stream, shop: Shop) -> None:
    page = opened("/try")
    page.get_by_label("Text", exact=True).fill("where is my money")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("under way").first).to_be_visible()
    id = page.get_by_role("heading", level=1).inner_text()
    expect(page.get_by_role("list").filter(has_text="texts.v1")).to_be_visible(timeout=10_000)
    place = re.search(r"partition (\d+), offset (\d+)", page.content())
    assert place is not None
    sent = Text(id=id, topics=stream.topics)
    sent.place = (stream.topics.texts, int(place[1]), int(place[2]))
    stream.publish([sent.prediction()])
    expect(page.get_by_role("list").filter(has_text="predictions.intent")).to_be_visible(timeout=10_000)
    expect(page.get_by_text("under way").first).to_be_visible()
    stream.publish([kept_result(sent)])
    expect(page.get_by_role("region", name="Task intent")).to_contain_text("93.0 %", timeout=10_000)
    expect(page.get_by_text("under way")).to_have_count(0)


def test_a_text_that_is_refused_stays_in_the_form(opened: Open, shop: Shop) -> None:
    page = opened("/try", expected="422")
    page.get_by_label("Text", exact=True).fill("where is my money")
    page.get_by_label("translation").check()
    page.get_by_label("Translate into").fill("no language at all")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("translation")
    expect(page.get_by_label("Text", exact=True)).to_have_value("where is my money")


def test_nobody_without_a_session_sees_a_screen_and_a_key_opens_one(opened: Open, door: PageDoor, shop: Shop) -> None:
    page = opened(expected="401")
    page.context.clear_cookies()
    page.goto(f"{door.url}/health")
    page.get_by_label("API key").fill(door.keys["sender"][0])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert door.keys["sender"][0] not in json.dumps(page.context.cookies())
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_page_whose_key_is_revoked_gets_no_more_and_says_why(opened: Open, door: PageDoor, stream: Stream) -> None:
    door.keys["revoked"] = add_key(door.keys_file, TENANT, SOURCE, ("send",))
    time.sleep(REREAD_S)  # before, the door does not know the key, and its token would be used up
    page = opened("/live", key="revoked", expected="401")
    revoke_key(door.keys_file, door.keys["revoked"][1].id)
    expect(page.get_by_text("Your session has ended")).to_be_visible(timeout=20_000)
    unseen = stream.text()
    stream.publish([kept_result(unseen)])
    other = opened("/live")
    expect(other.get_by_role("link", name=unseen.id, exact=True)).to_be_visible(timeout=10_000)
    expect(page.get_by_role("link", name=unseen.id, exact=True)).to_have_count(0)


def test_what_a_reader_unfolds_stays_so_when_the_figures_are_renewed(opened: Open, shop: Shop) -> None:
    page = opened("/?span=hour")
    page.get_by_text("As a table").click()
    table = page.get_by_role("table").filter(has_text="Texts and Results")
    expect(table).to_be_visible()
    with page.expect_response(re.compile("span=hour"), timeout=10_000):
        pass
    page.wait_for_timeout(300)
    expect(table).to_be_visible()
