"""Whether a model is served: its consumer group has members."""

from types import SimpleNamespace

import pytest
from aiokafka.errors import CoordinatorNotAvailableError, GroupAuthorizationFailedError, UnknownError

from sprat_contracts import ModelAnnounced, Topics
from sprat_operations.models import ServingState, serving, serving_advice

TOPICS = Topics("mine")


def model(name="hr", owns_from=1, **fields):
    return ModelAnnounced(task="intent", model=name, version="1", owns_from=owns_from, **fields)


class Admin:
    """Answers for each group in turn what it was given: members, or an error."""

    def __init__(self, **groups):
        self._groups = {name: list(answers) for name, answers in groups.items()}
        self.asked = []

    async def describe_consumer_groups(self, groups):
        self.asked.append(groups)
        answer = self._groups[groups[0].rpartition(".")[2]].pop(0)
        if isinstance(answer, type):
            raise answer
        error, members = answer
        return [SimpleNamespace(groups=[(error, groups[0], "Stable", "consumer", "", ["m"] * members)])]


async def test_a_model_is_served_where_its_group_has_members():
    admin = Admin(default=[(0, 2)], hr=[(0, 0)])
    announced = (model("default"), model("hr"), model("new", owns_from=None))
    assert await serving(admin, TOPICS, announced) == (ServingState.yes, ServingState.nobody, ServingState.starting)
    assert admin.asked == [["mine.intent.default"], ["mine.intent.hr"]]


@pytest.mark.parametrize("refusal", [GroupAuthorizationFailedError, (30, 0)])
async def test_a_group_that_this_user_may_not_see_is_unknown(refusal):
    assert await serving(Admin(hr=[refusal]), TOPICS, (model(),)) == (ServingState.unknown,)


async def test_a_broker_that_never_had_a_group_is_asked_again():
    admin = Admin(hr=[CoordinatorNotAvailableError, (15, 0), (0, 0)])
    assert await serving(admin, TOPICS, (model(),), retry_s=0) == (ServingState.nobody,)
    with pytest.raises(CoordinatorNotAvailableError):
        await serving(Admin(hr=[CoordinatorNotAvailableError] * 10), TOPICS, (model(),), retry_s=0)


async def test_another_error_is_raised_and_does_not_count_as_not_served():
    with pytest.raises(UnknownError):
        await serving(Admin(hr=[(-1, 0)]), TOPICS, (model(),))


def test_what_to_do_names_the_variables_where_the_model_has_a_name_of_its_own():
    assert serving_advice(model("default")).startswith("start it: sprat up, or python -m sprat_intent; or retire it")
    assert "python -m sprat_intent with SPRAT_INTENT__MODEL=hr and SPRAT_INTENT__ARTEFACT=DIR" in serving_advice(
        model()
    )
