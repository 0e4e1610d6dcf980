"""What `compose/bundle.sh` collects of images; a script stands in for Docker, and no image is there."""

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from support.programs import needs
from support.readme import ROOT

COMPOSE = ROOT / "compose"
pytestmark = needs("bash")
IMAGE = re.compile(r"image: \$\{(\w+_IMAGE):-([^}]+)\}")
OTHERS, OWN = r".*image: ${.*_IMAGE:-\([^}]*\)}.*", r".*image: ${SPRAT_IMAGES:-sprat}\/\([a-z]*\):.*"
DOCKER = rf"""#!/bin/sh
# `compose … config --images` prints the names in the files that it was given, `save --output FILE NAME…` writes them.
if [ "$1" = save ]; then shift 2; file=$1; shift; printf '%s\n' "$@" > "$file"; exit; fi
files=
while [ $# -gt 0 ]; do [ "$1" = --file ] && files="$files $2"; shift; done
sed -n 's/{OTHERS}/\1/p; s/{OWN}/sprat\/\1:0.1.0/p' ${{files:-compose/compose.yaml}}
"""


def named(file: str) -> set[str]:
    """Return the images of others that a Compose file names."""
    return {name for _, name in IMAGE.findall((COMPOSE / file).read_text("utf-8"))}


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    program = tmp_path / "docker"
    program.write_text(DOCKER, "utf-8")
    program.chmod(0o755)
    return program


def collect(docker: Path, folder: Path, *parts: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMPOSE / "bundle.sh", folder, *parts],
        env=os.environ | {"DOCKER": str(docker)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_images_and_those_of_telemetry_are_collected_apart_and_each_file_has_its_hash(
    docker: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    done = collect(docker, folder, "telemetry", "images")
    assert done.returncode == 0, done.stderr
    images, telemetry = ((folder / f"{part}.txt").read_text("utf-8").split() for part in ("images", "telemetry"))
    assert set(images) > named("compose.yaml")
    assert "sprat/translation:0.1.0" in images
    assert set(telemetry) == named("compose.observability.yaml")
    assert len(telemetry) == 5
    for part in (images, telemetry):
        assert part == sorted(part)
    assert (folder / "images.tar").read_text("utf-8").split() == images
    assert (folder / "telemetry.tar").read_text("utf-8").split() == telemetry
    hashes = dict(reversed(line.split(maxsplit=1)) for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines())
    for name in ("images.tar", "images.txt", "telemetry.tar", "telemetry.txt"):
        assert hashes[f"./{name}"] == hashlib.sha256((folder / name).read_bytes()).hexdigest()


def test_without_telemetry_its_images_are_left_out(docker: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    assert collect(docker, folder, "images").returncode == 0
    assert not list(folder.glob("telemetry*"))
    assert not named("compose.observability.yaml") & set((folder / "images.txt").read_text("utf-8").split())


def test_a_part_that_is_not_there_is_an_error(docker: Path, tmp_path: Path) -> None:
    done = collect(docker, tmp_path / "bundle", "image")
    assert (done.returncode, done.stderr) == (2, "there is no part image: python, images, telemetry\n")
