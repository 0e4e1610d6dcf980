"""Ask a door with the real clients of its shapes. Prints what each of them reads, as JSON.

    python ask_over_http.py http://127.0.0.1:8088 KEY

Run by the Python of `requirements/clients.lock`.
"""

import json
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks a server for the prices of models

import litellm
import openai
from libretranslatepy import LibreTranslateAPI

TEXT = "how much money do I have in my bank account"
CHOICES = {"balance": "how much money there is", "transfer": None}
QUESTIONS = [
    {
        "type": "choice",
        "name": "intent",
        "instructions": "What does the writer want?",
        "choices": [{"value": value, **({"description": told} if told else {})} for value, told in CHOICES.items()],
    },
    {"type": "predicate", "name": "urgent", "instructions": "Is it urgent?"},
]
STATES = {
    "intent": {"type": "choice", "instructions": "What does the writer want?", "criteria": CHOICES},
    "urgent": {"type": "noul", "instructions": "Is it urgent?"},
}


def main(base: str, key: str) -> None:
    """Ask once with each client."""
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=key)
    message = [{"role": "user", "content": [{"type": "input_text", "text": TEXT}]}]
    libretranslate = LibreTranslateAPI(base, key)
    told = {
        "openai": client.decisions.create(model="sprat", input=TEXT, questions=QUESTIONS),
        "openai, a message": client.decisions.create(model="sprat", input=message, questions=QUESTIONS),
        "litellm, decisions": litellm.decisions(
            model="openai/sprat", api_base=f"{base}/v1", api_key=key, input=TEXT, questions=QUESTIONS
        ),
        "litellm, decisions by System One": litellm.decisions(
            model="hosted_vllm/sprat", api_base=base, api_key=key, input=TEXT, questions=QUESTIONS
        ),
        "litellm, System One": litellm.systemone(
            model="hosted_vllm/sprat", api_base=base, api_key=key, state=TEXT, questions=STATES
        ),
        "libretranslatepy, translate": libretranslate.translate("Where is my card?", "en", "de"),
        "libretranslatepy, translate auto": libretranslate.translate("Where is my card?", "auto", "de"),
        "libretranslatepy, detect": libretranslate.detect("Where is my card?"),
        "libretranslatepy, languages": libretranslate.languages(),
    }
    shown = {name: each if isinstance(each, str | list) else each.model_dump() for name, each in told.items()}
    json.dump(shown, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
