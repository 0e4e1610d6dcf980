import pytest

from sprat_translation.negation import negation_differs


@pytest.mark.parametrize(
    ("english", "german", "different"),
    [
        ("Do not share your PIN.", "Teilen Sie Ihre PIN.", True),
        ("Do not share your PIN.", "Teilen Sie Ihre PIN nicht.", False),
        ("I can’t come", "Ich komme", True),
        ("I have no money", "Ich habe kein Geld", False),
        ("I have money", "Ich habe kein Geld", True),
        ("I understand.", "Ich verstehe nicht.", True),
        ("I do not know my uncle.", "Ich kenne meinen Onkel und unsere Tante.", True),
        ("That is nothing", "Das ist nichts", False),
        # A tag asks to agree, and denies nothing.
        ("It is late, isn't it?", "Es ist spät, oder?", False),
        ("It isn't late, is it?", "Es ist spät, oder?", True),
        ("You like coffee, don't you?", "Du magst Kaffee, nicht wahr?", False),
        ("You don't like it, do you?", "Du magst es, nicht wahr?", True),
        ("You don't like it, do you?", "Du magst es nicht, oder?", False),
        # What one language denies by a word, the other may by the meaning of one.
        ("Your card is not valid.", "Ihre Karte ist ungültig.", False),
        ("I am unable to open it.", "Ich kann es nicht öffnen.", False),
        ("I failed the exam.", "Ich habe die Prüfung nicht bestanden.", False),
        ("We ran out of milk.", "Wir haben keine Milch mehr.", False),
        ("I don't care.", "Es ist mir egal.", False),
        ("I did not know until today.", "Das weiß ich erst seit heute.", False),
        ("Take room no. 5.", "Nimm Zimmer 5.", False),
        # As people type.
        ("I cant find my keys.", "Ich kann meine Schlüssel finden.", True),
        ("I wasnt at home.", "Ich war zu Hause.", True),
        ("She isn`t at home.", "Sie ist zu Hause.", True),
        ("You like it, dont you?", "Du magst es, oder?", False),
        # A word that denies by its meaning, denied.
        ("It is not empty.", "Es ist leer.", True),
        ("Don't forget it.", "Vergiss es.", True),
        ("Don't forget it.", "Vergiss es nicht.", False),
        ("I don't hate you.", "Ich hasse dich.", True),
        ("It is not free.", "Es ist kostenlos.", True),
        ("That is not an error.", "Das ist ein Fehler.", True),
        ("Only I know.", "Ich weiß nicht.", True),
    ],
)
def test_a_negation_on_one_side_only_is_detected(english, german, different):
    assert negation_differs(english, german) is different
