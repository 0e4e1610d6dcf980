"""The page about machines without a network, followed word by word: collect, verify, install and run, without one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.chapters import Person, chapter, environment
from support.readme import DOCS, ROOT

PAGE = DOCS / "deploy/air-gapped.md"
VERIFY = chapter(PAGE, "Verify")
RUN = chapter(PAGE, "Run processes")
NO_OTHER_FILE = "find . ! -type d ! -path ./SHA256SUMS | sort | diff - <(cut -c67- SHA256SUMS | sort)"
NO_NETWORK = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
"""A network of its own, with nothing but the loopback interface."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what `compose/bundle.sh FOLDER python` collects."""
    folder = tmp_path_factory.mktemp("carried") / "bundle"
    done = subprocess.run(
        ["compose/bundle.sh", str(folder), "python"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()[-1]
    assert said.endswith(subprocess.check_output(["sha256sum", folder / "SHA256SUMS"], text=True).split()[0])
    return folder


class Isolated(Person):
    """A person whose commands reach no other machine."""

    def run(self, line: str, *, code: int = 0, answer: str = "") -> object:
        """Run a command line where there is no network."""
        assert not answer
        done = subprocess.run(
            [*NO_NETWORK, "bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"$ {line}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def isolated() -> None:
    if (
        shutil.which("unshare") is None
        or subprocess.run([*NO_NETWORK, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("no network of its own can be made here: `unshare --map-root-user --net` does not work")


@pytest.mark.usefixtures("isolated")
def test_what_was_collected_runs_where_there_is_no_network(bundle: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache")}
    person = Isolated(RUN, bundle, environment(**home))
    assert "Network is unreachable" in str(person.run("(exec 3<>/dev/tcp/192.0.2.1/80) 2>&1 || true"))

    person.follow("python3 -m venv ~/sprat-env")
    person.follow(
        "~/sprat-env/bin/pip install --no-index --find-links wheels --constraint constraints.txt 'sprat[all]'",
        "--quiet",
    )
    person.follow("mkdir -p ~/.cache && cp -r cache/sprat ~/.cache/")
    assert "The promise was kept." in str(person.follow("~/sprat-env/bin/sprat demo"))
    assert person.left == ["sprat demo", "sprat up"]


def test_a_changed_missing_or_additional_file_is_noticed(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder, copy_function=os.link)
    person = Person(VERIFY, folder, environment())
    listed = {line.split(maxsplit=1)[1] for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines()}
    there = {f"./{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_file()}
    assert there - listed == {"./SHA256SUMS"}
    person.follow("sha256sum SHA256SUMS")
    said = person.follow("sha256sum --check --strict --quiet SHA256SUMS")
    assert (said.out, said.err) == ("", "")
    said = person.follow(NO_OTHER_FILE)
    assert (said.out, said.err) == ("", "")

    (folder / "wheels/sprat-9.9-py3-none-any.whl").touch()
    (folder / "wheels/a link").symlink_to("/etc/hostname")
    person.run("sha256sum --check --strict --quiet SHA256SUMS")  # it looks at no file but those that it lists
    said = person.run(NO_OTHER_FILE, code=1)
    added = [line.removeprefix("< ") for line in said.out.splitlines() if line.startswith("<")]
    assert added == ["./wheels/a link", "./wheels/sprat-9.9-py3-none-any.whl"]

    wheel = next(folder.glob("wheels/sprat_encoder-*.whl"))
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    wheel.unlink()  # a link to the file of the other test
    wheel.write_bytes(content)
    said = person.run("sha256sum --check --strict --quiet SHA256SUMS", code=1)
    assert said.out == f"./wheels/{wheel.name}: FAILED\n"
    wheel.unlink()
    assert "FAILED open or read" in person.run("sha256sum --check --strict --quiet SHA256SUMS", code=1).out
