"""`sprat assess` as tests call it."""

from typer.testing import CliRunner

from sprat_cli.main import app

POLICY = (
    "tenants:\n  default: {frontier: allow, regions: [eu]}\n"
    "tasks:\n  intent:\n    keep_at: 0.75 # as shipped\n    out_of_scope: keep\n"
)
FRONTIER_POLICY = """
tenants:
  acme: {frontier: allow, regions: [local]}
  closed: {frontier: deny}
  abroad: {frontier: redact, regions: [eu]}
perimeter:
  terms: [{type: PROJECT, words: [Blue Heron]}]
  patterns: [{type: CASE, pattern: "HR-[0-9]{4}"}]
"""


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def assess(folder, *arguments, file="test.csv"):
    return run("assess", folder / file, "--model", folder / "hr", *arguments)
