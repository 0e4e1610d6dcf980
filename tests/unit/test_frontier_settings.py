import pytest
from pydantic import ValidationError

from sprat.base.errors import UserError
from sprat_contracts import Usage
from sprat_frontier.provider import OpenAIProvider
from sprat_frontier.settings import MISTRAL_URL, FrontierSettings
from support import frontier_parts as parts
from support.certificates import self_signed

KEY = "sk-very-secret-0123456789"


def test_the_default_is_mistral_in_the_eu():
    found = FrontierSettings()
    assert (found.base_url, found.provider, found.region) == (MISTRAL_URL, "mistral_ai", "eu")


@pytest.mark.parametrize("missing", ["provider", "region", "model"])
def test_another_endpoint_needs_its_own_provider_and_region(missing):
    fields = {"base_url": "http://127.0.0.1:9/v1", "provider": "vllm", "region": "local", "model": "m"}
    with pytest.raises(ValidationError, match=f"set SPRAT_FRONTIER__{missing.upper()}, SPRAT_FRONTIER__PRICES"):
        FrontierSettings.model_validate({name: value for name, value in fields.items() if name != missing})


def test_all_that_an_endpoint_lacks_is_named_at_once_by_its_variables():
    with pytest.raises(ValidationError) as caught:
        FrontierSettings(base_url="http://127.0.0.1:9/v1")
    names = [f"SPRAT_FRONTIER__{name}" for name in ("MODEL", "PROVIDER", "REGION", "PRICES")]
    assert f"to ask http://127.0.0.1:9/v1, set {', '.join(names)}; prices are in euros" in str(caught.value)
    assert "set SPRAT_FRONTIER__PRICES, SPRAT_FRONTIER__API_KEY; " in str(FrontierSettings().problem())
    assert '{"other": ' in str(parts.settings(model="other").problem())
    assert parts.settings().problem() is None


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "nothing",
        "https://user:pw@host/v1",
        "https://host/v1?key=1",
        "http://host:0/v1",
        "http://host:99999/v1",
        "http://host:pw/v1",
        "http://ho st/v1",
        "http://[host/v1",
    ],
)
def test_an_invalid_base_url_or_one_with_secrets_is_refused(url):
    with pytest.raises(ValidationError) as caught:
        parts.settings(base_url=url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("key", [KEY + "\u00e4", KEY + " x", KEY + "\nX-Evil: 1"])
def test_a_key_that_does_not_fit_a_header_is_refused_without_showing_it(key):
    with pytest.raises(ValidationError) as caught:
        FrontierSettings(api_key=key)
    assert KEY not in str(caught.value)
    assert KEY not in repr(caught.value)


def test_white_space_around_a_key_is_removed_and_an_empty_key_is_none():
    assert FrontierSettings(api_key=KEY + "\n").api_key.get_secret_value() == KEY
    assert FrontierSettings(api_key=" \n").api_key is None
    assert KEY not in repr(FrontierSettings(api_key=KEY))


def test_the_default_endpoint_without_a_key_is_refused_at_the_start():
    with pytest.raises(UserError, match="SPRAT_FRONTIER__API_KEY"):
        OpenAIProvider(FrontierSettings())


@pytest.mark.parametrize("proxies", [True, False], ids=["outside", "inside"])
async def test_the_certificates_of_the_environment_are_trusted_and_inside_no_proxy_is_used(
    proxies, tmp_path, monkeypatch
):
    authority, _ = self_signed(tmp_path / "own", "own", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    provider = OpenAIProvider(parts.settings(base_url="https://gpu.internal/v1"), proxies=proxies)
    client = provider._client._client
    assert client._transport._pool._ssl_context.cert_store_stats()["x509"] == 1, "the one of SSL_CERT_FILE alone"
    assert any(client._mounts.values()) == proxies
    await provider.close()


def test_a_model_without_a_price_is_refused_with_the_setting_to_change():
    with pytest.raises(UserError, match="SPRAT_FRONTIER__PRICES has no price for other"):
        parts.settings(model="other").price_of_model()


def test_cost_is_tokens_times_price_per_million():
    price = parts.settings().price_of_model()
    assert price.cost_eur(Usage(input_tokens=500_000, output_tokens=250_000)) == pytest.approx(2.5)
    assert price.cost_eur(None) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"timeout_s": 0}, {"max_retries": -1}, {"concurrency": 0}, {"prices": {"m": {"input_eur": -1, "output_eur": 0}}},
     {"breaker": {"cooldown_s": 9, "max_cooldown_s": 1}}, {"unknown": 1}],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_numbers_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValidationError):
        parts.settings(**wrong)
