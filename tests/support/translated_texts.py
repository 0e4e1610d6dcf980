"""Texts with what a translation must keep: numbers, addresses, placeholders, markup. The same every time."""

import random

_FRAMES = (
    "Your order {} has been sent.",
    "Please pay {} by {}.",
    "You can reach us at {}.",
    "Hello {}, we got your message.",
    "I waited for {} minutes, and {} people were before me.",
    "Have a look at {} and write to {}.",
    "We will call you back about {} tomorrow.",
    "The price is {}, not {}.",
    "Thanks for {}!",
    "Is {} still there?",
)
_HOSTS = ("shop.example", "www.post.example/track", "example.org/a_b-c", "help.example.co.uk/faq#top")
_PEOPLE = ("PERSON", "ORG", "ADDRESS", "IBAN", "DATE_OF_BIRTH")
_FIELDS = ("name", "order_id", "0", "1", "user.first")


def protected_value(dice: random.Random) -> str:
    """Something that must stay, of any kind."""
    number = dice.randint(0, 99_999)
    return dice.choice(
        (
            str(number),
            f"{number / 100:.2f}",
            f"{number * 1000:,}",
            f"{number % 24}:{number % 60:02d}",
            f"{number % 28 + 1}/{number % 12 + 1}/20{number % 90 + 10}",
            f"{dice.choice(('AB', 'X', 'Inv'))}-{number}",
            f"https://{dice.choice(_HOSTS)}?q={number}",
            f"user{number}@mail.example",
            f"[{dice.choice(_PEOPLE)}_{number % 40 + 1}]",
            f"{{{dice.choice(_FIELDS)}}}",
            f"{{{{{dice.choice(_FIELDS)}}}}}",
            f"%{number % 4 + 1}$s",
            "%s",
            f'<x id="{number}"/>',
            f"+49 30 {number:05d}",
            f"#{number}",
            f"€{number}",
            f"${number / 100:.2f}",
            f"{number} £",
        )
    )


def protected_texts(count: int) -> list[tuple[str, list[str]]]:
    """So many texts, each with the values that its translation must hold."""
    dice = random.Random(5)
    texts = []
    for _ in range(count):
        frames = dice.sample(_FRAMES, dice.randint(1, 3))
        values = [[protected_value(dice) for _ in range(frame.count("{}"))] for frame in frames]
        sentences = [frame.format(*some) for frame, some in zip(frames, values, strict=True)]
        texts.append((dice.choice((" ", "\n", "\n\n")).join(sentences), [value for some in values for value in some]))
    return texts
