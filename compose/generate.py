"""Write what follows from the list of services into images, Compose, the chart, and the packages' settings.

    python -m compose.generate

The list is `OWN_TASKS` of `sprat_contracts.base`: each task has a service of its name in `services/`. What follows from
it stands between two comments, `generated: NAME` and `end: NAME`.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sprat_contracts.base import OWN_TASKS

ROOT: Final = Path(__file__).resolve().parent.parent
SCHEMA: Final = "compose/kubernetes/chart/values.schema.json"
MARKS: Final = re.compile(
    r"^(?P<first>(?P<indent> *)(?:#|<!--) generated: (?P<name>[\w-]+)(?: -->)?\n)"
    r"(?P<block>.*?)(?P<last> *(?:#|<!--) end: (?P=name)(?: -->)?\n)",
    re.MULTILINE | re.DOTALL,
)

COMPOSE: Final = """\
{name}:
  <<: *service
{profiles}  image: ${{SPRAT_IMAGES:-sprat}}/{name}:${{SPRAT_{upper}_TAG:-${{SPRAT_TAG:-0.1.0}}}}
  environment:
    <<: *settings
    SPRAT_{upper}__ARTEFACT: ${{SPRAT_{upper}__ARTEFACT:-{artefact}}}
  volumes: [*models]

"""
COMPOSE_USER: Final = """\
{name}:
  environment:
    <<: *tls
    SPRAT_KAFKA__SASL_USERNAME: {name}
    SPRAT_KAFKA__SASL_PASSWORD: ${{KAFKA_{upper}_PASSWORD:?run compose/kafka-tls.sh}}
  volumes: [*ca]

"""
IMAGE: Final = """\
FROM model AS {name}
COPY --from=packages /layers/{name} /opt/sprat
{weights}COPY --from=members /members/{name} /opt/sprat
LABEL org.opencontainers.image.title=sprat-{name} org.opencontainers.image.description="{description}" \\
    org.opencontainers.image.licenses="{licences}"
CMD ["-m", "{package}"]

"""
SETTINGS: Final = (
    "| `SPRAT_{upper}__ARTEFACT` | `{shipped}` | folder of the model; the default is the shipped one |\n"
    "| `SPRAT_{upper}__MODEL` | `default` | the name by which texts ask for it |\n"
    "| `SPRAT_{upper}__THREADS` | `1` | threads that run the model |\n"
    "| `SPRAT_{upper}__THRESHOLDS` | – | file of its [thresholds](#thresholds-of-a-model); where it is not set: "
    "`thresholds.json` in the model's folder |\n"
)


def project_of(folder: Path) -> dict[str, Any]:
    """Return the table `project` of a member."""
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return project


MEMBERS: Final = {
    project_of(file.parent)["name"]: file.parent
    for file in sorted([*ROOT.glob("services/*/pyproject.toml"), *ROOT.glob("shared/*/pyproject.toml")])
}
"""Distribution of each member → its folder."""
DOOR: Final = "gateway"
SERVICES: Final = (
    *OWN_TASKS,
    *(folder.name for folder in MEMBERS.values() if folder.parent.name == "services" and folder.name not in OWN_TASKS),
)


def reached(member: str) -> set[str]:
    """Return the members that a member needs, itself among them."""
    found, waiting = set[str](), [member]
    while waiting:
        name = waiting.pop()
        if name in MEMBERS and name not in found:
            found.add(name)
            waiting += [re.split(r"[\[=<>;]", each)[0] for each in project_of(MEMBERS[name])["dependencies"]]
    return found


def fields_of(task: str) -> dict[str, str]:
    """Return what the templates name of a task's service."""
    folders = sorted((MEMBERS[name] for name in reached(f"sprat-{task}")), key=lambda each: (each.name == task, each))
    cards = [card for folder in folders for card in sorted(folder.glob("src/*/artefacts/*/card.json"))]
    packages = dict.fromkeys(card.parts[-4] for card in cards)
    package = f"sprat_{task.replace('-', '_')}"
    own = [card.parent.name for card in cards if card.parts[-4] == package]
    shipped = "default" if "default" in own else own[0]
    licences = {word for card in cards for word in json.loads(card.read_text("utf-8"))["licence"].split(" AND ")}
    return {
        "name": task,
        "upper": task.replace("-", "_").upper(),
        "package": package,
        "profiles": f"  profiles: [{task}]\n" if OWN_TASKS[task].on_request else "",
        "shipped": shipped,
        "artefact": f"/opt/sprat/{package}/artefacts/{shipped}",
        "description": project_of(MEMBERS[f"sprat-{task}"])["description"],
        "licences": " AND ".join(sorted({"Apache-2.0", *licences})),
        "weights": "".join(f"COPY --from=weights /weights/{each} /opt/sprat\n" for each in packages),
    }


def each_task(template: str, *, on_request: bool | None = None) -> Callable[[], str]:
    """Return what fills a template for each task; with `on_request`, for those alone that are or are not on request."""
    tasks = [name for name, task in OWN_TASKS.items() if on_request in {None, task.on_request}]
    return lambda: "".join(template.format(**fields_of(task)) for task in tasks)


def packages(template: str = '"{}",\n') -> Callable[[], str]:
    """Return what fills a template for the package of each service."""
    return lambda: "".join(template.format(f"sprat_{name.replace('-', '_')}") for name in SERVICES)


def layer() -> str:
    """Return the services as layers of the import rules: the door stands above what it shows of operations."""
    layers = ((DOOR,), ("training", "operations", *(name for name in SERVICES if name != DOOR)))
    return "".join(
        '"{}",\n'.format(" : ".join(f"sprat_{name.replace('-', '_')}" for name in named)) for named in layers
    )


def settings_table() -> str:
    """Return the table of the settings of the tasks' services."""
    return f"\n| variable | default | meaning |\n|---|---|---|\n{each_task(SETTINGS)()}\n"


def chart_schema() -> str:
    """Return the schema of the chart's values, with the settings of the tasks' services among those that it allows."""
    schema = json.loads((ROOT / SCHEMA).read_text("utf-8"))
    settings = [f"SPRAT_{fields_of(task)['upper']}__{name}" for task in OWN_TASKS for name in ("ARTEFACT", "THREADS")]
    others = re.compile(r"SPRAT_(?!CLASSIFY_)\w+__(ARTEFACT|THREADS)")
    for kind in ("settings", "secrets"):
        allowed = schema["definitions"][kind]["propertyNames"]["anyOf"][0]
        kept = [name for name in allowed["enum"] if not others.fullmatch(name)]
        place = kept.index("SPRAT_CLASSIFY__ARTEFACT")
        allowed["enum"] = [*kept[:place], *settings, *kept[place:]]
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def chart_tasks() -> str:
    """Return the chart's list of the tasks that have an image of their own."""
    return '{{{{- define "sprat.ownTasks" -}}}}{}{{{{- end -}}}}\n'.format(" ".join(OWN_TASKS))


BLOCKS: Final[Mapping[str, Mapping[str, Callable[[], str]]]] = {
    "pyproject.toml": {
        "sources": lambda: "".join(f"sprat-{name} = {{ workspace = true }}\n" for name in SERVICES),
        "mypy-path": lambda: "".join(f'"services/{name}/src",\n' for name in SERVICES),
        "layer": layer,
        "services": packages(),
    },
    "shared/chassis/pyproject.toml": {"tasks": each_task('"sprat-{name}==0.1.0",\n')},
    "docs/configuration.md": {"tasks": settings_table},
    "compose/Dockerfile": {"tasks": each_task(IMAGE)},
    "compose/compose.yaml": {"tasks": each_task(COMPOSE)},
    "compose/compose.observability.yaml": {"tasks": each_task("{name}: *exported\n")},
    "compose/compose.kafka-tls.yaml": {
        "passwords": each_task("{upper}: ${{KAFKA_{upper}_PASSWORD:?run compose/kafka-tls.sh}}\n"),
        "users": each_task('settings {name} "SCRAM-SHA-512=password=$${upper}\\n"\n'),
        "principals": each_task('set -- "$$@" --principal {name}=User:{name}\n'),
        "tasks": each_task(COMPOSE_USER),
    },
    "compose/.env.example": {
        "tags": each_task("#SPRAT_{upper}_TAG=\n"),
        "artefacts": each_task("#SPRAT_{upper}__ARTEFACT={artefact}\n"),
        "passwords": each_task("#KAFKA_{upper}_PASSWORD=\n"),
    },
    "compose/observability/prometheus.yml": {
        "always": each_task(
            '- {{targets: ["{name}:8080"], labels: {{instance: {name}, service_name: sprat-{name}}}}}\n',
            on_request=False,
        ),
        "on-request": each_task("- {name}\n", on_request=True),
    },
}
"""File → name of a block → what makes the block."""
WHOLE: Final[Mapping[str, Callable[[], str]]] = {
    "compose/kubernetes/chart/templates/_tasks.tpl": chart_tasks,
    SCHEMA: chart_schema,
}
"""Files that are made as a whole."""


def generated() -> Iterator[tuple[Path, str]]:
    """Yield each file and what it has to hold.

    Raises:
        ValueError: a file has no marks for a block, or marks for another.
    """
    for name, blocks in BLOCKS.items():
        text = (ROOT / name).read_text("utf-8")
        marked = {found["name"] for found in MARKS.finditer(text)}
        if marked != blocks.keys():
            raise ValueError(f"{name}: has marks for {sorted(marked)}, and blocks are made for {sorted(blocks)}")
        yield ROOT / name, _filled(text, blocks)
    for name, make in WHOLE.items():
        yield ROOT / name, make()


def _filled(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """Return a text with each block made anew, as deep as its marks stand."""

    def block(found: re.Match[str]) -> str:
        made = blocks[found["name"]]().splitlines(keepends=True)
        return found["first"] + "".join(found["indent"] * bool(line.strip()) + line for line in made) + found["last"]

    return MARKS.sub(block, text)


def main() -> None:
    """Write each file that changes."""
    for path, text in generated():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8", newline="\n")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
