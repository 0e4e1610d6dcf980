"""What `sprat doctor` finds of the frontier's settings and of the policy's tiers; the service's own rules decide."""

import socket

import pytest

from sprat.base.checks import Check, CheckStatus
from sprat_frontier.checks import check_settings
from sprat_policy import Policy

OK, WARNING, UNKNOWN, BROKEN = CheckStatus.ok, CheckStatus.warning, CheckStatus.unknown, CheckStatus.broken
FREE = '{"large": {"input_eur": 0, "output_eur": 0}}'
WHOLE = {"MODEL": "large", "PROVIDER": "acme", "REGION": "eu", "PRICES": FREE}
MISTRAL = {"MODEL": "large", "PRICES": FREE, "API_KEY": "k"}
TIER = {"price": {"input_eur": 0, "output_eur": 0}, "region": "eu"}


@pytest.fixture
def checked(monkeypatch, tmp_path):
    """Return the checks of a shell with these variables of the frontier."""
    monkeypatch.chdir(tmp_path)

    def check(variables: dict, policy: dict | None = None, **more) -> list[Check]:
        for name, value in variables.items():
            monkeypatch.setenv(f"SPRAT_FRONTIER__{name}", value)
        return list(check_settings(None if policy is None else Policy.model_validate(policy), **more))

    return check


@pytest.mark.parametrize(
    ("variables", "status"),
    [
        ({}, UNKNOWN),
        (MISTRAL, OK),
        (MISTRAL | {"PRICES": "{}"}, BROKEN),
        (WHOLE | {"BASE_URL": "https://api.models.example/v1", "API_KEY": "k"}, OK),
        (WHOLE | {"BASE_URL": "https://api.models.example/v1"}, WARNING),
        (WHOLE | {"BASE_URL": "http://api.models.example/v1", "API_KEY": "k"}, BROKEN),
        *((WHOLE | {"BASE_URL": f"http://{host}:8000/v1"}, OK) for host in ("127.0.0.1", "10.1.2.3", "vllm")),
        *(
            (WHOLE | {"BASE_URL": url}, BROKEN)
            for url in ("http://gpu:0/v1", "http://gpu:99999/v1", "http://[gpu/v1", "http://gpu: 80/v1", "gpu/v1")
        ),
        ({"BASE_URL": "https://models.internal/v1"}, BROKEN),
    ],
)
def test_an_endpoint_is_one_that_the_service_starts_with_encrypted_and_with_a_key(checked, variables, status):
    (check,) = checked(variables)
    assert (check.subject, check.status) == ("frontier", status)
    assert bool(check.fix) is (status is not OK)


@pytest.mark.parametrize(
    ("tenants", "status", "said"),
    [
        ({"acme": {"frontier": "allow", "regions": ("eu",)}}, OK, "eu: texts of acme may go there"),
        (
            {"acme": {"frontier": "allow", "regions": ("us",)}, "*": {"frontier": "redact", "regions": ("eu",)}},
            OK,
            "eu: texts of all others may go there, not of acme",
        ),
        ({"acme": {"frontier": "allow", "regions": ("us",)}}, WARNING, "the frontier is in eu, where no tenant's"),
        ({"acme": {"frontier": "deny"}}, OK, "eu; no tenant allows its texts to be sent"),
    ],
)
def test_the_region_is_one_that_a_policy_names(checked, tenants, status, said):
    _, region, hosts = checked(MISTRAL, {"tenants": tenants})
    assert (region.subject, region.status, region.finding.startswith(said)) == ("region", status, True)
    assert (hosts.subject, hosts.status) == ("hosts", WARNING)


@pytest.mark.parametrize(
    ("regions", "variables", "status"),
    [
        ({"eu": ("api.mistral.ai",)}, MISTRAL, OK),
        ({"eu": ("vllm.internal",)}, WHOLE | {"BASE_URL": "http://vllm.internal:8000/v1"}, OK),
        ({"eu": ("api.mistral.ai",)}, WHOLE | {"BASE_URL": "http://vllm.internal:8000/v1"}, BROKEN),
        ({"local": ("api.mistral.ai",)}, MISTRAL, BROKEN),
    ],
)
def test_the_host_is_listed_in_its_region(checked, regions, variables, status):
    first, *rest = checked(variables, {"tenants": {}, "regions": regions})
    assert (first.status, [each.subject for each in rest]) == (status, ["region"])


@pytest.mark.parametrize(
    ("model", "region", "status"),
    [("phi", "inside", OK), ("phi", "local", WARNING), ("phi-cloud", "inside", BROKEN)],
)
def test_a_frontier_inside_the_house_needs_no_region_and_runs_there(checked, model, region, status):
    variables = {"BASE_URL": "http://gpu/v1", "MODEL": model, "PROVIDER": "p", "REGION": region}
    prices = {"PRICES": f'{{"{model}": {{"input_eur": 0, "output_eur": 0}}}}'}
    (check,) = checked(variables | prices, {"tenants": {}, "inside": ["gpu"], "regions": {"eu": []}})
    assert (check.subject, check.status) == ("frontier", status)


@pytest.mark.parametrize(
    ("tier", "variables", "status"),
    [
        ({"preset": "vllm:http://gpu.example.com/v1", "model": "phi"}, {}, OK),
        ({"preset": "vllm:http://gpu.example.com/v1", "model": "phi", "region": "eu"}, {}, WARNING),
        (TIER | {"preset": "vllm:http://10.0.0.7/v1", "model": "phi"}, {}, OK),
        (TIER | {"preset": "openai:open", "url": "http://api.example.com/v1"}, {}, BROKEN),
        (TIER | {"preset": "mistral", "api_key": "${SPRAT_NO_SUCH_KEY}"}, {}, UNKNOWN),
        (TIER | {"preset": "mistral", "api_key": "${SPRAT_NO_SUCH_KEY}"}, {"SPRAT_NO_SUCH_KEY": "k"}, OK),
    ],
)
def test_each_tier_of_the_policy_is_judged(checked, monkeypatch, tier, variables, status):
    monkeypatch.setattr("sprat_frontier.checks._check_inside", lambda *_: ())
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    check, _hosts = checked({}, {"tenants": {}, "inside": ["gpu.example.com"], "tiers": [tier]})
    assert (check.subject, check.status) == ("tier", status)


def test_a_tier_inside_the_house_where_nothing_listens_is_named_and_no_other_address_is_tried(checked):
    with socket.create_server(("127.0.0.1", 0)) as up, socket.create_server(("127.0.0.1", 0)) as down:
        ports = [each.getsockname()[1] for each in (up, down)]
        down.close()
        urls = [f"vllm:http://127.0.0.1:{port}/v1" for port in ports]
        tiers = [{"name": f"t{at}", "preset": url, "model": "m"} for at, url in enumerate(urls)]
        tiers += [{"preset": "vllm:http://localhost:9/v1", "model": "m", "region": "eu"}, {"preset": "frontier"}]
        checks = checked({}, {"tenants": {}, "inside": ["127.0.0.1"], "tiers": tiers})
    (check,) = (each for each in checks if "cannot be reached" in each.finding)
    assert check.finding == f"t1: 127.0.0.1:{ports[1]} cannot be reached from here: Connection refused"


@pytest.mark.parametrize(
    ("fields", "keeps"),
    [
        ({}, "every valid answer"),
        ({"keep_at": 0.8}, "labels by keep_at 0.8"),
        ({"goal": 0.97, "evidence": "certified"}, "labels by goal 0.97, certified"),
        (
            {"keep_at": 0.8, "calibration": {"intent": {"bias": 0, "slope": 1, "model": "phi", "texts": 90}}},
            "labels by keep_at 0.8, calibrated for intent; a goal and sprat tiers calibrate take its place",
        ),
    ],
)
def test_what_a_tier_keeps_is_said(checked, fields, keeps):
    tier = {"preset": "vllm:http://10.0.0.7/v1", "model": "phi", "region": "eu"} | fields
    check, *_ = checked({}, {"tenants": {}, "tiers": [tier]})
    assert (check.status, check.finding.partition("; keeps ")[2]) == (OK, keeps)


@pytest.mark.parametrize("are_used", [True, False])
def test_settings_of_another_shell_are_not_judged(checked, are_used):
    subjects = [each.subject for each in checked(MISTRAL, {"tenants": {}}, are_used=are_used)]
    assert subjects == [*["frontier", "region"] * are_used, "hosts"]


def test_no_key_is_shown(checked):
    found = checked(WHOLE | {"BASE_URL": "https://api.models.example/v1", "API_KEY": "hidden word"})
    assert [each.status for each in found] == [BROKEN]
    assert "hidden" not in str(found)
