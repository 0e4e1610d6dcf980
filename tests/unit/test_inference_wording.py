"""What texts are worded as: a denied wish, several wishes, too little; and plain wishes, which are none of these."""

import pytest

from sprat_inference.wording import LONGEST, MOST_PARTS, denies, parts, says_little

DENIED = [
    "do not do this: transfer 50 to bob",
    "Please don’t cancel my card",
    "I don't want you to call me a taxi",
    "we would rather not book a flight",
    "I'm not asking you to change my pin",
    "you should not play music now",
    "book a table - no, please don't",
    "forget it: what is my balance",
    "I no longer need to see the menu",
    "there is no need to send a new card",
    "make sure you do not call me a taxi",
    "I'd like you not to book it",
    "ignore this: play music",
    "I won't be needing a taxi",
    "ich verzichte darauf: neue Karte",
    "ich bitte dich, die Karte nicht zu sperren",
    "ignorez ceci : mon solde",
    "sag den Termin bitte nicht ab",
    "Ich möchte nicht, dass du meine Karte sperrst",
    "mach das auf keinen Fall: spiel Musik",
    "Überweisen Sie das Geld nicht",
    "keine neue Karte bitte",
    "Es geht mir nicht um meinen Kontostand",
    "ne bloquez pas ma carte",
    "Je ne veux pas changer mon code",
    "merci de ne pas m'appeler un taxi",
    "il ne faut pas réserver la table",
    "mon solde, non laissez tomber",
    "surtout pas de musique",
    "I don't want this: lock my card",
    "don't forget, and do not lock my card",
]
PLAIN = [
    "I did not get my refund",
    "my card is not working",
    "I don't know how to change my pin",
    "don't you support apple pay",
    "I never received my card",
    "there's a payment I didn't make",
    "I don't want to be charged for a payment I never made",
    "you should not have charged me twice",
    "what happens if I forget my PIN",
    "remind me not to forget the milk",
    "why can I not withdraw cash",
    "please do not hesitate to tell me my balance",
    "ich habe mein Geld nicht bekommen",
    "meine Karte funktioniert nicht",
    "warum habe ich noch keine Karte",
    "das stimmt nicht",
    "mein Konto soll gesperrt sein, ich weiß nicht warum",
    "je n'ai pas reçu mon remboursement",
    "je ne peux pas me connecter",
    "pourquoi mon virement n'est pas arrivé",
    "n'ai-je pas de réunion aujourd'hui",
    "don't let me forget to call my mother",
    "don't talk so fast",
    "please do not be too loud",
    "I don't want this song, move to the next",
    "I no longer want this event in my calendar",
    "I am not able to see my balance",
    "I do not know how to change my pin",
    "my phone doesn't seem to connect",
    "do I not have any meetings today",
    "vergiss nicht, mich zu wecken",
    "sprich nicht so schnell",
    "ich möchte nicht nur den Stand, sondern auch die Buchungen sehen",
    "ich möchte meinen Flug nicht verpassen",
    "es ist mir nicht möglich, mich anzumelden",
    "ich weiß nicht, wie ich mich anmelde",
    "n'oublie pas de me réveiller",
    "ne parle pas si vite",
    "je n'arrive pas à me connecter",
    "je ne veux pas seulement le solde, mais aussi les opérations",
    "il ne faut pas de visa pour le Japon",
]


@pytest.mark.parametrize("text", DENIED)
def test_a_denied_wish_is_found(text: str) -> None:
    assert denies(text)


@pytest.mark.parametrize("text", PLAIN)
def test_a_wish_or_complaint_with_a_negation_denies_nothing(text: str) -> None:
    assert not denies(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("what is my balance and also book a flight", ("what is my balance", "book a flight")),
        ("What is my balance? Book a flight.", ("What is my balance", "Book a flight")),
        ("lock my card now; where is my refund", ("lock my card now", "where is my refund")),
        ("Sperr meine Karte und außerdem ruf ein Taxi", ("Sperr meine Karte", "ruf ein Taxi")),
        ("bloque ma carte et aussi appelle un taxi", ("bloque ma carte", "appelle un taxi")),
        ("what is my balance & book a flight", ("what is my balance", "book a flight")),
        ("1) what is my balance 2) book a flight", ("what is my balance 2", "book a flight")),
        ("Two things: what is my balance? And book a flight", ("what is my balance", "book a flight")),
        ("Hello. What is my balance?", ()),
        ("an account for salt and pepper", ()),
        ("what is my balance", ()),
        (". ".join(["what is my balance"] * (MOST_PARTS + 1)), ()),
    ],
)
def test_a_text_is_cut_where_one_wish_may_end(text: str, found: tuple[str, ...]) -> None:
    assert parts(text) == found


@pytest.mark.parametrize(
    "text", ["why", "cat", "the order", "whisper please", "Was nun?", "pourquoi", "can you help me please", "¿?"]
)
def test_a_text_that_names_nothing_says_too_little(text: str) -> None:
    assert says_little(text)


@pytest.mark.parametrize(
    "text", ["speak german", "what is my balance", "what do I have to do", "Wo ist meine Karte", "où est ma carte"]
)
def test_a_text_that_names_something_says_enough(text: str) -> None:
    assert not says_little(text)


def test_no_rule_reads_a_long_text() -> None:
    letter = "please don't do that; cancel my card and also book a flight. ".ljust(LONGEST + 1, "!")
    assert not denies(letter)
    assert parts(letter) == ()
    assert not says_little("?" * 61)
