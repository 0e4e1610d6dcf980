"""Convert a language model for the transformers library to an artefact of the generalist service, without torch."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from sprat.base.errors import UserError
from sprat_contracts.announcements import NOT_FITTED
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Card
from sprat_inference.converters.bert import Quantization
from sprat_inference.converters.cards import LONGEST_TEXT, NOT_MEASURED_LIMIT, Provenance
from sprat_inference.converters.causal_lm import CausalLM
from sprat_inference.converters.hub import HOW_TO_INSTALL
from sprat_inference.converters.saved_model import TOKENIZER, SavedModel, bounded
from sprat_inference.generator import GENERALIST, GENERATOR_READER, Chat, Generator

TEMPLATE: Final = "chat_template.jinja"

_SYSTEM, _USER = "MessageOfTheSystem", "MessageOfTheUser"
"""Stand for the messages while the template is rendered: no template writes such words."""
_TODAY: Final = "01 January 2026"
"""For templates that write the date: equal models give equal artefacts."""
_LONGEST_TEMPLATE: Final = 200_000
UNCALIBRATED_LIMIT: Final = (
    "Uncalibrated: the probability of a label is what the model says of itself; `sprat tiers calibrate` "
    "measures what it means."
)


def convert_generator(
    saved: SavedModel, provenance: Provenance, folder: Path, *, quantization: Quantization = "int8"
) -> Card:
    """Write the artefact into `folder`, which must exist and be empty, and return its card.

    Raises:
        UserError: the model is of another kind, or cannot be converted; the message says what to do.
    """
    with saved.refused():
        model = CausalLM.read(saved)
        vocabulary = _vocabulary(saved, model.rows)
        spec = model.specification()
        special = _special_tokens(saved)
        ends = _ends(saved, vocabulary, special)
        chat = _chat(saved, ends, special, model.state_bytes)
        spec.register_vocabulary(vocabulary)
        spec.config.bos_token = special.get("bos_token", ends[0])
        spec.config.eos_token = ends[0]
        spec.config.unk_token = special.get("unk_token", "")
        spec.validate()
        spec.optimize(quantization=None if quantization == "float32" else quantization)
        spec.save(str(folder))
        shutil.copyfile(saved.folder / TOKENIZER, folder / TOKENIZER)
        chat.save(folder)
        card = write_artefact(folder, _card(model, provenance, quantization))
        Generator.load(folder, card).probe()
    return card


def _vocabulary(saved: SavedModel, rows: int) -> list[str]:
    """Return a name for each row of the embeddings; rows that no token uses, which many models have, get one, too."""
    path = saved.folder / TOKENIZER
    try:
        ids = Tokenizer.from_file(str(path)).get_vocab(with_added_tokens=True)
    except Exception as error:  # noqa: BLE001 - the library raises nothing more special
        raise UserError(f"{path}: cannot be read ({error})") from None
    names = {bounded(path, f"the id of {token!r:.40}", id, least=0, most=rows - 1): token for token, id in ids.items()}
    return [names.get(id, f"<unused{id}>") for id in range(rows)]


def _special_tokens(saved: SavedModel) -> dict[str, str]:
    """Return the tokens that the tokenizer's configuration names: `bos_token` and so on."""
    found = {}
    for name, value in saved.object_in("tokenizer_config.json", missing_ok=True).items():
        token = value.get("content") if isinstance(value, Mapping) else value
        if name.endswith("_token") and isinstance(token, str):
            found[name] = token
    return found


def _ends(saved: SavedModel, vocabulary: list[str], special: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tokens that end an answer, each once."""
    stated = saved.object_in("generation_config.json", missing_ok=True).get("eos_token_id")
    ids = [each for value in (stated, saved.config.get("eos_token_id")) for each in _listed(value)]
    file, most = saved.folder / "config.json", len(vocabulary) - 1
    tokens = [vocabulary[bounded(file, "eos_token_id", each, least=0, most=most)] for each in ids]
    if (named := special.get("eos_token")) is not None and named in vocabulary:
        tokens.append(named)
    if not tokens:
        raise UserError(f"{file}: names no eos_token_id, the token that ends an answer; write it there")
    return tuple(dict.fromkeys(tokens))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _chat(saved: SavedModel, ends: tuple[str, ...], special: Mapping[str, str], state_bytes: int) -> Chat:
    """Return the tokens around the messages, as the model's template writes them."""
    parts = _around_messages(saved, special)
    tokenizer = Tokenizer.from_file(str(saved.folder / TOKENIZER))
    tokenizer.no_truncation()
    before, between, after = (tuple(tokenizer.encode(part, add_special_tokens=False).tokens) for part in parts)
    if not after:
        raise UserError(f"{saved.folder}: its chat template writes nothing after a question; it cannot be asked")
    return Chat(before, between, after, ends, state_bytes)


def _around_messages(saved: SavedModel, special: Mapping[str, str]) -> tuple[str, str, str]:
    """Return what the template writes before, between and after the two messages."""
    template = _template(saved)
    both = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}]
    one = [{"role": "user", "content": f"{_SYSTEM}\n\n{_USER}"}]
    for messages in (both, one):  # some templates refuse a system message
        try:
            rendered = _render(template, messages, special)
        except _RefusedByTemplateError:
            continue
        before, found, rest = rendered.partition(_SYSTEM)
        between, found_too, after = rest.partition(_USER)
        if found and found_too and _SYSTEM not in rest and _USER not in after:
            return before, between, after
    raise UserError(f"{saved.folder}: its chat template does not write one system and one user message")


def _template(saved: SavedModel) -> str:
    path = saved.folder / TEMPLATE
    stated = saved.object_in("tokenizer_config.json", missing_ok=True).get("chat_template")
    if path.is_file():
        stated = path.read_text(encoding="utf-8")
    elif isinstance(stated, list):
        named = {each.get("name"): each.get("template") for each in stated if isinstance(each, Mapping)}
        stated = named.get("default")
    if not isinstance(stated, str) or len(stated) > _LONGEST_TEMPLATE:
        raise UserError(
            f"{saved.folder}: has no chat template ({TEMPLATE}, or chat_template in tokenizer_config.json), so nobody "
            "knows how to ask it; take the model's variant for instructions"
        )
    return stated


class _RefusedByTemplateError(Exception):
    """The template raised."""


def _render(template: str, messages: list[dict[str, str]], special: Mapping[str, str]) -> str:
    """Return what a template writes, in the sandbox in which transformers renders it.

    Raises:
        UserError: jinja2 is not installed.
    """
    try:
        from jinja2 import TemplateError  # noqa: PLC0415 - of the extra `hub`, which services do not install
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise UserError(f"reading a chat template needs the Python package {error.name}: {HOW_TO_INSTALL}") from None

    def refuse(message: object) -> str:
        raise TemplateError(str(message))

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda _: _TODAY}
    try:
        return environment.from_string(template).render(
            messages=messages, add_generation_prompt=True, enable_thinking=False, tools=None, **special
        )
    except (TemplateError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise _RefusedByTemplateError(type(error).__name__) from None


def _card(model: CausalLM, provenance: Provenance, quantization: Quantization) -> dict[str, Any]:
    saved = model.saved
    return {
        "name": provenance.name,
        "task": GENERALIST,
        "reader": GENERATOR_READER,
        "languages": provenance.languages,
        "max_tokens": model.max_tokens,
        "licence": provenance.licence,
        "made_of": (
            provenance.work(
                f"the network ({saved.architecture}), converted to CTranslate2 in {quantization}, its vocabulary, and "
                "what its chat template writes around a question"
            ),
        ),
        "scores": (),
        "calibration": {
            "method": "none: the probability of a label's tokens and of the end, divided by the sum over the labels",
            "fitted_on": NOT_FITTED,
            "outside_share": 0.0,
            "longest_code_points": LONGEST_TEXT,
            "parameters": {},
        },
        "keep_at": 1.0,
        "keep_at_rule": "not calibrated, so keeping nothing is recommended",
        "limits": (UNCALIBRATED_LIMIT, NOT_MEASURED_LIMIT),
    }
