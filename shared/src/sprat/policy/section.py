"""What all parts of the policy file have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the policy file. Unknown fields are errors here: a typo must not silently loosen a rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")
