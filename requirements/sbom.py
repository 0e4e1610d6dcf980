"""Write what Sprat is made of as CycloneDX JSON: members, third parties, weights, the page's scripts, Kafka."""

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import lock
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from sprat_local.kafka import jars

ROOT = lock.ROOT
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LICENCES = LicenseFactory()


def main(target: str) -> None:
    """Write the document into a file."""
    version = metadata("sprat")["Version"]
    bom = Bom()
    bom.metadata.component = Component(
        name="sprat", version=version, type=ComponentType.APPLICATION, licenses=_licence("Apache-2.0"), bom_ref="sprat"
    )
    parts = [*_third_parties(), *_members(version), *_weights(), *_scripts(), *_kafka()]
    bom.components.update(parts)
    bom.register_dependency(bom.metadata.component, parts)
    Path(target).write_text(JsonV1Dot6(bom).output_as_string(indent=1) + "\n", "utf-8")


def _third_parties() -> Iterator[Component]:
    """Return what the lock of a run names; licences are known of what is installed here."""
    for entry in (ROOT / "requirements" / "run.lock").read_text("utf-8").replace("\\\n", "").splitlines():
        pin = _PIN.match(entry)
        if pin is None:
            continue
        name, version = canonicalize_name(pin[1]), pin[2]
        purl = PackageURL("pypi", name=name, version=version)
        files = ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION,
            url=XsUri(str(purl)),
            comment="the hashes of all its files, one for each processor and version of Python",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in _HASH.findall(entry)],
        )
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            purl=purl,
            bom_ref=str(purl),
            licenses=_declared_licence(name),
            external_references=[files],
        )


def _members(version: str) -> Iterator[Component]:
    for project in lock.members():
        name = project["name"]
        purl = PackageURL("pypi", name=name, version=version)
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            purl=purl,
            bom_ref=str(purl),
            licenses=_licence(project["license"]),
        )


def _weights() -> Iterator[Component]:
    """Return each model with its licence, the hash of each of its files, and what it was made of."""
    for file in sorted(ROOT.glob("s*/*/src/*/artefacts/*/card.json")):
        card = json.loads(file.read_text("utf-8"))
        folder = file.parent
        parts = [_file(part, folder) for part in sorted(folder.iterdir())]
        yield Component(
            name=f"{folder.parents[1].name.replace('_', '-')}/{folder.name}",
            version=card["version"],
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref=f"weights/{folder.relative_to(ROOT)}",
            licenses=_licence(card["licence"]),
            components=parts,
            properties=[
                Property(name="sprat:made_of", value=f"{each['name']} ({each['licence']})") for each in card["made_of"]
            ],
        )


def _file(path: Path, folder: Path, kind: str = "weights") -> Component:
    return Component(
        name=path.name,
        type=ComponentType.FILE,
        bom_ref=f"{kind}/{folder.relative_to(ROOT)}/{path.name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=_digest(path))],
    )


def _scripts() -> Iterator[Component]:
    """Return what the page of the door has from others, with the hash of each file."""
    folder = ROOT / "services/gateway/src/sprat_gateway/page/static"
    for library in json.loads((folder / "vendored.json").read_text("utf-8")):
        purl = PackageURL("npm", name=library["name"], version=library["version"])
        yield Component(
            name=library["name"],
            version=library["version"],
            type=ComponentType.LIBRARY,
            purl=purl,
            bom_ref=str(purl),
            licenses=_licence(library["licence"]),
            components=[_file(folder / name, folder, "scripts") for name in library["files"]],
        )


def _kafka() -> Iterator[Component]:
    for jar in jars.pinned():
        purl = PackageURL("maven", jar.group, jar.artifact, jar.version)
        yield Component(
            name=jar.artifact,
            group=jar.group,
            version=jar.version,
            type=ComponentType.LIBRARY,
            purl=purl,
            bom_ref=str(purl),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=jar.sha256)],
        )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _licence(expression: str) -> Iterable[License]:
    return [_LICENCES.make_from_string(expression)]


def _declared_licence(name: str) -> Iterable[License]:
    try:
        declared = metadata(name)
    except PackageNotFoundError:  # of another version of Python
        return []
    classifiers = [each.rpartition(" :: ")[2] for each in declared.get_all("Classifier") or [] if each[:7] == "License"]
    fields = [declared[field] for field in ("License-Expression", "License") if field in declared]
    said = next(filter(None, [*fields, " AND ".join(classifiers)]), None)
    return _licence(said.splitlines()[0]) if said else []


if __name__ == "__main__":
    main(*sys.argv[1:])
