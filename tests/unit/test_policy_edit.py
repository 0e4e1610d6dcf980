"""Writing the folder of a model into the file of its task, and nothing else."""

from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat_policy import load_task_file, set_task_model

TASK = "# ours\nkind: classification\nlabels:\n  badge: a card\n  leave:\ngoal: 0.95 # enough\ninstruction: Judge.\n"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_model_of_a_task_is_written_and_all_else_stays(tmp_path: Path, line_end: str) -> None:
    path = tmp_path / "desk.yaml"
    path.write_bytes(TASK.replace("\n", line_end).encode())
    assert set_task_model(path, "../desk: one").artefact is None
    written = TASK + 'artefact: "../desk: one"\n'
    assert path.read_bytes() == written.replace("\n", line_end).encode()
    path.write_bytes(path.read_bytes().replace(b'one"', b'one"  # mine'))
    assert set_task_model(path, "../two").artefact == Path("../desk: one")
    assert path.read_bytes() == (TASK + 'artefact: "../two"  # mine\n').replace("\n", line_end).encode()
    assert load_task_file(path).artefact == Path("../two")


@pytest.mark.parametrize("content", ["{kind: classification, labels: {a: , b: }}\n", TASK + "artefact: >-\n  ../a\n"])
def test_a_layout_that_cannot_be_edited_safely_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "desk.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match="write it yourself: artefact"):
        set_task_model(path, "../desk")
    assert path.read_text() == content


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "desk.yaml"
    path.write_text(TASK)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        set_task_model(path, "../desk")
    assert (path.read_text(), sorted(tmp_path.iterdir())) == (TASK, [path])
