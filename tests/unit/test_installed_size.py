"""Installing one service brings what it runs; growth is noticed, and accepted on purpose."""

from dataclasses import replace

import pytest

from support.installed_size import ACCEPT, InstalledSize, growth, installed_size, read_table, services

SIZE = InstalledSize(members=("sprat", "sprat-ner"), files=100, distributions=("aiokafka", "numpy"))


def test_every_service_is_in_the_table():
    assert sorted(read_table()) == sorted(services())


@pytest.mark.parametrize("service", services())
def test_a_service_does_not_grow_unnoticed(service):
    grown = growth(read_table()[service], installed_size(service))

    assert not grown, f"installing {service} brings something else: {grown}; accept it with `{ACCEPT}`"


@pytest.mark.parametrize("service", services())
def test_no_service_brings_tools_or_another_service(service):
    members = set(installed_size(service).members)
    # The door shows what operators' tools work out, and has no model.
    shown = {"sprat-operations", "sprat-training"} if service == "sprat-gateway" else set()

    assert members & {"sprat-cli", "sprat-local", "sprat-operations", "sprat-training", *services()} == {
        service,
        *shown,
    }


@pytest.mark.parametrize("service", services())
def test_no_service_brings_another_runtime_than_ctranslate2(service):
    others = {"jax", "onnx", "onnxruntime", "tensorflow", "torch", "transformers"}

    assert not others & set(installed_size(service).distributions)


def test_the_extra_for_onnx_brings_its_runtime_and_not_what_makes_models():
    brought = set(installed_size("sprat-inference", "onnx").distributions)

    assert brought - set(installed_size("sprat-inference").distributions) == {"flatbuffers", "onnxruntime", "protobuf"}


@pytest.mark.parametrize(
    ("current", "difference"),
    [
        (replace(SIZE, distributions=("aiokafka", "numpy", "torch")), "new distribution: torch"),
        (replace(SIZE, distributions=("aiokafka",)), "distribution no longer installed: numpy"),
        (replace(SIZE, members=("sprat", "sprat-cli", "sprat-ner")), "new member: sprat-cli"),
        (replace(SIZE, members=("sprat-ner",)), "member no longer installed: sprat"),
        (replace(SIZE, files=106), "Python files of Sprat: 100 → 106"),
    ],
    ids=["distribution more", "distribution less", "member more", "member less", "files"],
)
def test_each_difference_is_named(current, difference):
    assert growth(SIZE, current) == [difference]


@pytest.mark.parametrize("files", [40, 105], ids=["fewer", "a few more"])
def test_a_few_files_more_or_any_number_less_are_no_growth(files):
    assert growth(SIZE, replace(SIZE, files=files)) == []


def test_extras_are_followed_only_where_they_are_required():
    brought = installed_size("sprat-ner").distributions

    assert "cramjam" in brought  # aiokafka[lz4,…]
    assert "opentelemetry-exporter-otlp-proto-http" not in brought  # sprat[otel]
