"""The texts of `sprat demo guard`: the samples by desk, before and after the upstream system renames a desk."""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sprat_contracts.languages import FALLBACK_LANGUAGE
from sprat_local.demo.samples import load_samples
from sprat_local.installation.options import DEMO_FOLDER

_SEED: Final = 3
_TRAVEL: Final = "travel"
_TRIPS: Final = "trips"
"""What the desk for travel is called from the shift on."""
_BANK: Final = (
    "report_lost_card replacement_card_duration freeze_account pin_change damaged_card card_declined new_card "
    "expiration_date apr redeem_rewards rewards_balance report_fraud credit_limit credit_limit_change credit_score "
    "improve_credit_score application_status transfer balance bill_due pay_bill account_blocked bill_balance "
    "spending_history transactions routing interest_rate min_payment order_checks direct_deposit rollover_401k"
)
_JOURNEYS: Final = (
    "lost_luggage flight_status book_flight international_visa book_hotel travel_suggestion carry_on car_rental "
    "plug_type timezone travel_alert vaccines uber distance directions traffic cancel_reservation confirm_reservation "
    "restaurant_reservation restaurant_suggestion current_location"
)
_DESK: Final = dict.fromkeys(_BANK.split(), "bank") | dict.fromkeys(_JOURNEYS.split(), _TRAVEL)


@dataclass(frozen=True, slots=True)
class DeskText:
    """A text, and the desk that it belongs to."""

    text: str
    desk: str

    @property
    def renamed(self) -> "DeskText":
        """The same text after the shift."""
        return DeskText(self.text, _TRIPS) if self.desk == _TRAVEL else self


def desk_texts() -> tuple[list[DeskText], list[DeskText]]:
    """Return two halves of the English samples, drawn at random with a fixed seed: one trains, one is the traffic."""
    texts = [
        DeskText(each.submitted["text"], _DESK[each.gold["intent"]])
        for each in load_samples(DEMO_FOLDER).texts
        if each.gold.get("intent") in _DESK and each.submitted.get("language", FALLBACK_LANGUAGE) == FALLBACK_LANGUAGE
    ]
    random.Random(_SEED).shuffle(texts)  # noqa: S311 - a demonstration that is the same each time
    half = len(texts) // 2
    return texts[:half], texts[half:]


def write_rows(path: Path, texts: Sequence[DeskText]) -> None:
    """Write texts as a file of labelled rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("text", "label"))
        rows.writerows((each.text, each.desk) for each in texts)
