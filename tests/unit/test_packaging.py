"""The metadata of the members: one version, licences, typing; and where packages come from is left to the user."""

import re
import subprocess

import pytest
from packaging.requirements import Requirement

from support.installed_size import ROOT, members, services
from support.programs import needs

CLASSIFIERS = {"3.11", "3.12", "3.13"}
INDEX_HOSTS = re.compile(r"pypi\.org|pythonhosted\.org|--index-url|index-url *=|\[\[tool\.uv\.index\]\]")


def test_all_members_have_one_version():
    assert len({member.project["version"] for member in members().values()}) == 1


@pytest.mark.parametrize("name", members())
def test_a_member_requires_others_of_its_own_version_alone(name):
    member = members()[name]
    required = [Requirement(line) for extra in ("", *member.extras()) for line in member.requirements(extra)]
    loose = [str(each) for each in required if each.name in members() and str(each.specifier) != f"=={version(name)}"]

    assert not loose, f"{name} {version(name)} must name exactly this version: {loose}"


@pytest.mark.parametrize("name", members())
def test_a_member_is_typed_and_brings_the_licence(name):
    member = members()[name]

    assert member.project["license-files"] == ["LICENSE", "NOTICE"]
    for file in ("LICENSE", "NOTICE"):
        assert (member.folder / file).read_bytes() == (ROOT / file).read_bytes()
    assert (member.folder / "src" / name.replace("-", "_") / "py.typed").is_file()


@pytest.mark.parametrize("name", members())
def test_a_member_names_the_python_versions_that_are_tested(name):
    prefix = "Programming Language :: Python :: "
    classifiers = members()[name].project["classifiers"]

    assert {each.removeprefix(prefix) for each in classifiers if each.startswith(prefix)} == CLASSIFIERS


def test_all_brings_every_member_that_is_run():
    extras = members()["sprat"].project["optional-dependencies"]["all"]
    brought = {Requirement(each).name for each in extras}

    assert brought >= set(services())
    assert brought >= {"sprat-cli", "sprat-local"}


@needs("git")
def test_no_file_names_a_package_index():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [
        ROOT / name for name in listed.stdout.split("\0") if name.endswith((".toml", ".txt", ".cfg", ".yaml", ".yml"))
    ]
    files += [ROOT / "Makefile", *(ROOT / ".ci").glob("*")]
    naming = [str(file.relative_to(ROOT)) for file in files if INDEX_HOSTS.search(file.read_text("utf-8"))]

    assert naming == []


def version(name: str) -> str:
    return members()[name].project["version"]
