"""What texts are worded as: a denied wish, several wishes, too little; and plain wishes, which are none of these."""

import pytest

from sprat_inference.wording import LONGEST, MOST_PARTS, denies, forbids, parts, says_little

ORDERS = [
    "do not do this: transfer 50 to bob",
    "Please don’t cancel my card",
    "I don't want you to call me a taxi",
    "we would rather not book a flight",
    "I'm not asking you to change my pin",
    "you should not play music now",
    "book a table - no, please don't",
    "there is no need to send a new card",
    "nobody asked you to book it",
    "I don't want to cancel my table",
    "I don't need to cancel my table",
    "you don't have to book it",
    "stop, I didn't tell you to book it",
    "make sure you do not call me a taxi",
    "I'd like you not to book it",
    "ignore this: play music",
    "ich verzichte darauf: neue Karte",
    "ich bitte dich, die Karte nicht zu sperren",
    "ignorez ceci : mon solde",
    "sag den Termin bitte nicht ab",
    "Ich möchte nicht, dass du meine Karte sperrst",
    "Ich möchte meinen Tisch nicht stornieren",
    "Heute will ich den Tisch nicht sofort stornieren.",
    "Niemand hat gesagt, dass Sie einen Tisch reservieren sollen",
    "mach das auf keinen Fall: spiel Musik",
    "Überweisen Sie das Geld nicht",
    "keine neue Karte bitte",
    "Es geht mir nicht um meinen Kontostand",
    "ne bloquez pas ma carte",
    "Je ne veux pas changer mon code",
    "je n'ai pas besoin d'annuler la table",
    "vous n'avez pas à bloquer ma carte",
    "personne ne vous a dit de bloquer ma carte",
    "je veux que vous ne bloquiez pas ma carte",
    "merci de ne pas m'appeler un taxi",
    "il ne faut pas réserver la table",
    "surtout pas de musique",
    "don't forget, and do not lock my card",
]
DENIED = [
    "forget it: what is my balance",
    "mon solde, non laissez tomber",
    "I no longer need to see the menu",
    "I won't be needing a taxi",
    "my reservation is not needed anymore",
    "this is not what I wanted",
    "no, not that!",
    "I don't want this: lock my card",
    "Ich brauche den Tisch nicht mehr",
    "I don't want to keep my table",
    "I don't need to go anymore",
    "Ich möchte den Tisch nicht behalten",
    "Ich möchte den Tisch nicht mehr haben",
    "je ne veux pas garder la table",
    "je ne veux plus la carte",
    "je n'ai plus besoin de la table",
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
    "the kettle is not what I ordered, refund it",
    "I haven't received what I ordered",
    "a debit that I have not asked for",
    "are there credit cards with no interest",
    "where is my parcel? please do not reply to this mail",
    "please don't print this e-mail",
    "don't receive my parcel",
    "don't let me oversleep",
    "you don't have to, but what is my balance",
    "I do not know how to change my pin",
    "my phone doesn't seem to connect",
    "do I not have any meetings today",
    "vergiss nicht, mich zu wecken",
    "sprich nicht so schnell",
    "ich möchte nicht nur den Stand, sondern auch die Buchungen sehen",
    "Buchung wurde nicht bestätigt",
    "Sendung nicht erhalten",
    "Plan 4 geht nicht",
    "Zahlen nicht möglich",
    "Buch nicht erhalten",
    "Lassen Sie es uns versuchen",
    "Meine Karte funktioniert nicht, bitte helfen Sie mir",
    "Können Sie mir bitte sagen warum mein Paket nicht kommt",
    "Warum funktioniert das nicht?",
    "Wieso klappt es nicht",
    "Ich will mein Geld zurück weil die Schuhe nicht passen",
    "Karte geht nicht und ich brauche Hilfe",
    "Finde mein Handy nicht",
    "ich möchte meinen Flug nicht verpassen",
    "es ist mir nicht möglich, mich anzumelden",
    "ich weiß nicht, wie ich mich anmelde",
    "n'oublie pas de me réveiller",
    "je voudrais plus de temps",
    "j'ai perdu ma carte, dont le numéro finit par 44",
    "le virement que vous n'avez pas fait",
    "comment éviter de payer des frais",
    "j'ai oublie mon code",
    "ne marche pas",
    "ne parle pas si vite",
    "je n'arrive pas à me connecter",
    "je ne veux pas seulement le solde, mais aussi les opérations",
    "il ne faut pas de visa pour le Japon",
]


@pytest.mark.parametrize("text", ORDERS)
def test_what_is_not_to_be_done_is_found(text: str) -> None:
    assert forbids(text)
    assert denies(text)


@pytest.mark.parametrize("text", DENIED)
def test_what_is_not_wanted_or_needed_is_denied_but_not_forbidden(text: str) -> None:
    assert denies(text)
    assert not forbids(text)


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


@pytest.mark.parametrize("text", ["show balance", "need refund", "brauche Taxi", "veux pizza"])
def test_a_word_beside_a_verb_of_wish_is_a_wish(text: str) -> None:
    assert not says_little(text)


@pytest.mark.parametrize("text", ["show me", "need help", "tell me", "get it", "I want it", "brauche Hilfe"])
def test_a_verb_of_wish_with_nothing_beside_it_is_none(text: str) -> None:
    assert says_little(text)


def test_no_rule_reads_a_long_text() -> None:
    letter = "please don't do that; cancel my card and also book a flight. ".ljust(LONGEST + 1, "!")
    assert not denies(letter)
    assert parts(letter) == ()
    assert not says_little("?" * 61)
