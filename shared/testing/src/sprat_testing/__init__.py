"""Sprat in the tests of those who publish texts or read results.

    with Sprat() as sprat:
        sprat.answer("balance", intent="balance")
        text = Text("what is my balance")
        sprat.publish(text)
        assert sprat.result(text).output.label == "balance"

pytest has it as the fixture `sprat`.
"""

from sprat_testing.http_door import HttpDoor
from sprat_testing.outcomes import RecordPlace
from sprat_testing.stack import Sprat
from sprat_testing.texts import Text

__all__ = ["HttpDoor", "RecordPlace", "Sprat", "Text"]
