"""`sprat demo guard`: certified, served, shifted, reviewed, alarm, nothing kept, new rows, certified, kept again."""

import pytest

from sprat_local.demo.guard import GOAL, run_guard_demo

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def test_a_shift_is_found_by_reviews_and_a_new_certificate_serves_again():
    said = list[str]()
    seen = run_guard_demo(said.append)
    assert seen.kept_before >= 0.8, "the certified model keeps most of its own traffic"
    assert seen.kept_in_alarm == 0, "`on_alarm: escalate` keeps nothing"
    assert seen.kept_after >= 0.4
    assert 5 <= seen.reviews_after_shift <= 400, "an alarm without errors, or one that does not come"
    certificates = [line for line in said if "certificate for" in line]
    assert len(certificates) == 2, said
    assert all(f"{GOAL:.0%}".replace("%", " %") in line for line in certificates)
