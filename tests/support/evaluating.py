"""`sprat evaluate` as tests call it."""

from typer.testing import CliRunner

from sprat_cli.main import app

POLICY = (
    "tenants:\n  default: {frontier: allow, regions: [eu]}\n"
    "tasks:\n  intent:\n    keep_at: 0.75 # as shipped\n    out_of_scope: keep\n"
)
TIERS = """
inside: [127.0.0.1]
regions: {{local: [localhost]}}
tenants: {{acme: {{frontier: redact, regions: [local]}}, closed: {{frontier: deny}}}}
tiers:
  - {{name: house, preset: "vllm:{house}", model: phi, keep_at: 0.8}}
  - {{name: large, preset: "openai:large", url: "{large}", region: local, price: {{input_eur: 1, output_eur: 1}}}}
perimeter:
  terms: [{{type: PROJECT, words: [Blue Heron]}}]
  patterns: [{{type: CASE, pattern: "HR-[0-9]{{4}}"}}]
"""


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def tiers(house, large):
    """Return a policy with two tiers: one inside the house, and one that gets masked texts."""
    return TIERS.format(house=house.base_url, large=large.base_url.replace("127.0.0.1", "localhost"))
