"""`sprat mask`: what the user sees of what would be sent."""

import io
import json
import re

import pytest
from typer.testing import CliRunner

from sprat.base.errors import UserError
from sprat_cli import detectors, terminal
from sprat_cli.commands import mask as command
from sprat_cli.detectors import DetectorSet, load_detectors, shipped_tagger
from sprat_cli.main import app
from sprat_cli.text_input import read_text
from sprat_privacy.detectors import tagger
from support.detectors import Broken, Words

TEXT = "Anna met Ben.\r\nAnna left\x1b[2J\tRome"
NAMES = Words({"Anna": "PERSON", "Ben": "PERSON", "Rome": "CITY"})
POLICY = """\
perimeter:
  terms: [{type: PROJECT, words: [Blue Heron]}]
  patterns: [{type: CUSTOMER, pattern: 'K-[0-9]{6}'}]
  validators_alone: [fi]
"""


@pytest.fixture(autouse=True)
def an_empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    """Use these detectors instead of the real ones."""

    def ask(*asked, alone=()):
        monkeypatch.setattr(command, "load_detectors", lambda *_, **__: DetectorSet(asked, alone))

    return ask


def run(*arguments, stdin=None):
    return CliRunner().invoke(app, ["mask", *arguments], input=stdin)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_masked_text_is_above_the_table_of_what_was_masked(asked):
    asked(NAMES)
    result = run(TEXT, "--language", "en")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "[PERSON_1] met [PERSON_2].",
        "[PERSON_1] left\ufffd[2J [CITY_1]",
        "",
        "PLACEHOLDER  TYPE    DETECTOR    TIMES",
        "[PERSON_1]   PERSON  words       1",
        "[PERSON_2]   PERSON  words       1",
        "[PERSON_1]   PERSON  occurrence  1",
        "[CITY_1]     CITY    words       1",
        "4 masked: 1 CITY, 3 PERSON",
    ]


def test_values_are_shown_on_request_alone(asked):
    asked(Words({"+49 30 1234": "PHONE"}))
    text = "+49 30 1234, once more: +49-30-1234"
    hidden, shown = run(text), run(text, "--show-values")
    assert "1234" not in hidden.output
    assert "[PHONE_1]    PHONE  words       1      +49 30 1234" in shown.stdout
    assert "+49-30-1234" in shown.stdout


def test_nothing_found_is_said(asked):
    asked(NAMES)
    assert run("where is my card?").stdout == "where is my card?\n\nnothing was found to mask\n"


def test_placeholders_are_coloured_on_a_terminal_alone(asked, monkeypatch):
    asked(NAMES)
    assert "\x1b" not in run("Anna").output
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(terminal.sys, "stdout", Terminal())
    masked = command.masking("[PERSON_9] is Anna", "en", [NAMES])
    assert command.masked_lines(masked) == ["[PERSON_9] is \x1b[33m[PERSON_1]\x1b[0m"]
    assert command.found_lines(masked, show_values=False)[1] == "\x1b[33m[PERSON_1]\x1b[0m   PERSON  words     1"


def test_json_has_offsets_of_the_text_as_given_and_no_value(asked):
    asked(NAMES)
    result = run(TEXT, "--json", "--language", "en")
    line = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert line["text"] == "[PERSON_1] met [PERSON_2].\r\n[PERSON_1] left\x1b[2J\t[CITY_1]"
    assert line["counts"] == {"CITY": 1, "PERSON": 3}
    assert [TEXT[span["start"] : span["end"]] for span in line["spans"]] == ["Anna", "Ben", "Anna", "Rome"]
    for span in line["spans"]:
        assert line["text"].startswith(span["placeholder"], span["at"])
        assert set(span) == {"start", "end", "at", "placeholder", "type", "finder"}
    shown = json.loads(run(TEXT, "--json", "--show-values", "--language", "en").stdout)
    assert [span["value"] for span in shown["spans"]] == ["Anna", "Ben", "Anna", "Rome"]


def test_what_cannot_be_verified_would_not_be_sent(asked):
    asked(NAMES, Broken())
    result = run("secret Anna")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "sprat: nothing of this text would be sent: the detector broken failed: RuntimeError\n"
    as_json = run("secret Anna", "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["reason"] == "the detector broken failed: RuntimeError"
    assert "secret" not in as_json.output


def test_a_language_without_a_name_detector_is_reported_with_advice(asked):
    asked(NAMES)
    result = run("Anna", "--language", "fi-FI")
    assert result.exit_code == 1
    assert "(--language fi-FI; the tagger knows en); list the language in the policy's" in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_an_option_the_text_is_in_the_language_of_texts_that_name_none(asked, monkeypatch):
    asked(NAMES)
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", "fi-FI")
    assert "(--language fi-FI; the tagger knows en)" in run("Anna").stderr
    assert run("Anna", "--language", "en").exit_code == 0
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", "finnish")
    assert "SPRAT_DEFAULT_LANGUAGE: no language tag" in run("Anna").stderr


def test_where_the_policy_accepts_forms_alone_a_remark_says_that_names_were_not_looked_for(asked):
    asked(NAMES, alone=("fi",))
    result = run("Anna", "--language", "fi")
    assert result.exit_code == 1, "no finder can be asked"
    asked(NAMES, Words({"Anna": "TERM"}, languages=None), alone=("fi",))
    result = run("Anna", "--language", "fi")
    assert result.exit_code == 0
    assert result.stdout.startswith("[TERM_1]\n")
    assert result.stderr.startswith("names were not looked for")


def test_validators_alone_need_no_tagger(monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(detectors, "_load_tagger", never)
    result = run("Anna, anna@example.com", "--validators-alone")
    assert result.exit_code == 0
    assert result.stdout.startswith("Anna, [EMAIL_1]\n")
    assert "names were not looked for" in result.stderr


def test_the_policys_terms_patterns_and_languages_count(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY, "utf-8")
    result = run("blue  heron for K-123456", "--policy", str(path), "--validators-alone")
    assert result.stdout.startswith("[PROJECT_1] for [CUSTOMER_1]\n")
    assert load_detectors(path, None, alone=True).validators_alone == ("fi",)


def test_the_real_tagger_finds_names():
    result = run("Please call Anna Schmidt on +49 30 901820.")
    assert result.exit_code == 0
    assert re.fullmatch(r"Please call \[PERSON_1\] on \[PHONE_1\]\.", result.stdout.splitlines()[0])
    assert "tagger" in result.stdout
    assert "Schmidt" not in result.output


def test_the_tagger_comes_with_the_package_for_personal_data():
    folder = shipped_tagger()
    assert folder.parts[-3:] == ("sprat_privacy", "artefacts", "rampart")
    assert (folder / "card.json").is_file()


def test_files_and_standard_input_are_one_text_as_it_is(tmp_path, asked):
    asked(NAMES)
    path = tmp_path / "letter.txt"
    path.write_bytes("\n  Zoë and Anna\r\n".encode())
    for arguments, stdin in (((str(path),), None), (("-",), path.read_bytes())):
        line = json.loads(run(*arguments, "--json", stdin=stdin).stdout)
        assert line["text"] == "\n  Zoë and [PERSON_1]\r\n"


@pytest.mark.parametrize(
    ("argument", "content", "said"),
    [
        ("none.txt", None, "there is no file 'none.txt'; to mask these words themselves, add --text"),
        ("./none", None, "there is no file './none'"),
        (".", None, "file .: cannot be read: Is a directory"),
        ("  ", None, "the text is empty"),
        ("a\udcff", None, "the text: not valid Unicode"),
        ("empty.txt", b" \n", "file empty.txt is empty"),
        ("latin.txt", b"\xff", "file latin.txt: not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, argument, content, said):
    if content is not None:
        (tmp_path / argument).write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_text(argument, io.TextIOWrapper(io.BytesIO(b"")), as_text=False)
    assert said in str(caught.value)


def test_words_that_look_like_a_path_are_the_text_where_one_says_so(tmp_path):
    (tmp_path / "Anna").write_text("from the file", "utf-8")
    nothing = io.TextIOWrapper(io.BytesIO(b""))
    assert read_text("Anna", nothing, as_text=False) == "from the file"
    assert read_text("Anna", nothing, as_text=True) == "Anna"
    assert read_text("-", nothing, as_text=True) == "-"
    assert read_text("open 24/7", nothing, as_text=False) == "open 24/7"
    assert read_text("x" * 5000, nothing, as_text=False) == "x" * 5000


def test_what_is_missing_or_cannot_be_meant_is_said_with_what_to_do(monkeypatch, tmp_path):
    def missing(*_, **__):
        raise ModuleNotFoundError("No module named 'ctranslate2'", name="ctranslate2")

    found = [run("Anna", "--tagger", str(tmp_path), *more) for more in (["--validators-alone"], [])]
    with monkeypatch.context() as patch:
        patch.setattr(tagger, "SHIPPED_TAGGER", tmp_path / "gone")
        found.append(run("Anna"))
    monkeypatch.setattr(detectors, "_load", missing)
    found.append(run("Anna"))
    said = [
        ("--tagger and --validators-alone exclude each other",),
        ("card.json",),
        ("pip install --force-reinstall sprat-privacy", "--tagger FOLDER", "--validators-alone"),
        ("`mask` needs the Python package ctranslate2: pip install --find-links dist 'sprat[all]'",),
    ]
    for result, words in zip(found, said, strict=True):
        assert (result.exit_code, result.stdout) == (2, "")
        assert all(word in result.stderr for word in words)
