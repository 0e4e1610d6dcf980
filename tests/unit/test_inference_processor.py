"""Which instructions CTranslate2 is told to use: none that the processor lacks, none against the operator."""

from pathlib import Path

import pytest

from sprat_inference.processor import AVX512, NEEDED, VARIABLE, choose_instruction_set, processor_flags


def test_avx_512_is_chosen_where_the_processor_has_all_of_it() -> None:
    environment: dict[str, str] = {}
    choose_instruction_set(environment, {*NEEDED, "sse2"})
    assert environment == {VARIABLE: AVX512}


@pytest.mark.parametrize("missing", sorted(NEEDED))
def test_nothing_is_forced_where_one_part_is_missing(missing: str) -> None:
    environment: dict[str, str] = {}
    choose_instruction_set(environment, NEEDED - {missing})
    assert environment == {}


def test_what_the_operator_has_set_stays() -> None:
    environment = {VARIABLE: "AVX2"}
    choose_instruction_set(environment, NEEDED)
    assert environment == {VARIABLE: "AVX2"}


def test_the_flags_are_those_that_linux_names(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: any\nflags\t\t: fpu avx512f avx512_vnni\n\nprocessor\t: 1\n")
    assert processor_flags(file) == {"fpu", "avx512f", "avx512_vnni"}


@pytest.mark.parametrize("content", [None, "Features\t: fp asimd\n"])
def test_another_system_or_architecture_has_no_flags(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "cpuinfo"
    if content is not None:
        file.write_text(content)
    assert processor_flags(file) == frozenset()
