"""Which share of the kept answers is reviewed, by whom, and how long an answer may take."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from sprat_contracts.reviews import PEOPLE
from sprat_policy.section import PolicySection

REVIEW: Final = "the fields share, by, per_day, wait: a random share of what is kept, to be reviewed"
ON_ALARM: Final = (
    "tell: an alarm changes nothing; tighten: it raises the goal of its answers; escalate: none of them is kept"
)
_WAIT: Final = "how long a review may hold back later ones, up to 6d: a number with s, m, h or d, as 3d"
_MAX_WAIT_S: Final = 6 * 86_400
"""Draws are kept for seven days; after that, nobody could close them."""
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

OnAlarm = Literal["tell", "tighten", "escalate"]


def _seconds(wait: str) -> int:
    return int(wait[:-1]) * _SECONDS[wait[-1]]


def _check_wait(wait: str) -> str:
    if _seconds(wait) > _MAX_WAIT_S:
        raise PydanticCustomError("wait", "longer than draws are kept")
    return wait


class ReviewPolicy(PolicySection):
    """Reviews of a task, or of one of its models."""

    share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="the share of the kept answers that is drawn, 0 to 1, as 0.01; 0: none",
        ),
    ]
    by: Annotated[
        str, Field(min_length=1, max_length=64, description="people, or the name of the tier that reviews")
    ] = PEOPLE
    per_day: Annotated[
        int, Field(ge=1, le=1_000_000, description="how many are drawn in a day, about: 1 to 1000000")
    ] = 200
    wait: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}[smhd]$", description=_WAIT), AfterValidator(_check_wait)] = (
        "3d"
    )

    @property
    def wait_s(self) -> int:
        """How many seconds a review without an answer holds back later ones."""
        return _seconds(self.wait)

    def __str__(self) -> str:
        """Return it in words, as `1 % reviewed by people`."""
        return f"{100 * self.share:g} % reviewed by {self.by}, about {self.per_day} a day at most"
