"""`FeedbackGiven`: a person says what would have been right."""

from typing import Annotated, ClassVar

from pydantic import Field

from sprat_contracts.base import Message, TaskName
from sprat_contracts.outputs import Output
from sprat_contracts.predictions import TextId, TextSource


class FeedbackGiven(Message):
    """A correction of one Result."""

    event_type: ClassVar[str] = "dev.sprat.feedback.given.v1"

    text_id: TextId
    text_source: TextSource
    task: Annotated[TaskName, Field(description="The task corrected.")]
    output: Annotated[Output, Field(description="The right answer.")]
    by: Annotated[str, Field(min_length=1, max_length=256, description="Who says so: a pseudonym or a system's name.")]
