"""Each purpose has a key of its own; during a rotation, both secrets are read with and one is written with."""

from pydantic import SecretStr

from sprat.base.keys import Keys
from sprat.base.settings import ServiceSettings

SECRET, OTHER = SecretStr("the secret of this installation"), SecretStr("the next secret of this installation")


def test_every_purpose_and_name_has_a_key_of_its_own() -> None:
    keys = Keys(SECRET)
    made = [keys.current(*of) for of in (("seal",), ("seal", "a"), ("seal", "b"), ("sign",), ("seala",), ("", "seal"))]
    assert len(set(made)) == len(made)
    assert {len(key) for key in made} == {32}
    assert keys.current("seal", "a") == Keys(SECRET).current("seal", "a") != Keys(OTHER).current("seal", "a")


def test_the_current_key_is_written_with_and_both_are_read_with() -> None:
    old, new = Keys(SECRET), Keys(OTHER)
    rotated = Keys(OTHER, SECRET)
    assert rotated.current("sign") == new.current("sign")
    assert rotated.accepted("sign") == (new.current("sign"), old.current("sign"))
    assert old.accepted("sign") == (old.current("sign"),)


def test_a_service_has_the_keys_of_its_settings() -> None:
    settings = ServiceSettings(secret=OTHER, previous_secret=SECRET, _env_file=None)
    assert settings.keys.accepted("sign") == Keys(OTHER, SECRET).accepted("sign")
    empty = ServiceSettings.model_validate({"secret": OTHER, "previous_secret": ""})
    assert empty.keys.accepted("sign") == Keys(OTHER).accepted("sign"), "an empty variable is one that is not set"
