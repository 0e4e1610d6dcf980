"""What a call costs, in euros."""

from sprat.errors import UserError
from sprat_contracts import Usage
from sprat_frontier.settings import FrontierSettings, Price

_MILLION = 1_000_000


def price_of(settings: FrontierSettings) -> Price:
    """Give the price of the configured model.

    A model without a price is an error at the start, not a default: a guessed price spoils every budget and every sum
    silently, and list prices change. A model of one's own costs 0, and somebody has said so.

    Raises:
        UserError: the table has no such model.
    """
    price = settings.prices.get(settings.model)
    if price is None:
        example = f'{{"{settings.model}": {{"input_eur": 0.4, "output_eur": 2.0}}}}'
        raise UserError(
            f"SPRAT_FRONTIER__PRICES has no price for {settings.model}: set it in euros per million tokens, as in "
            f"{example} (0 for a model of your own)"
        )
    return price


def cost_eur(price: Price, usage: Usage | None) -> float:
    """Give what the tokens cost; nothing where none were counted."""
    if usage is None:
        return 0.0
    return (usage.input_tokens * price.input_eur + usage.output_tokens * price.output_eur) / _MILLION
