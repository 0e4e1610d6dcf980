"""Where the frontier service finds its model: at the simulator, or at a person's URL."""

import json

from sprat.local.children.ports import HOST
from sprat.local.options import SIMULATED, Options

_MODEL = "simulated-frontier"
REGION = "local"
PROVIDER = "simulator"


def frontier_environment(options: Options, simulator_port: int) -> dict[str, str]:
    """Give the frontier service's variables. With a URL, the person says the rest; the service says what is missing."""
    if options.frontier != SIMULATED:
        return {"SPRAT_FRONTIER__BASE_URL": options.frontier}
    price = {"input_eur": options.simulation.input_eur, "output_eur": options.simulation.output_eur}
    return {
        "SPRAT_FRONTIER__BASE_URL": f"http://{HOST}:{simulator_port}/v1",
        "SPRAT_FRONTIER__MODEL": _MODEL,
        "SPRAT_FRONTIER__PROVIDER": PROVIDER,
        "SPRAT_FRONTIER__REGION": REGION,
        "SPRAT_FRONTIER__PRICES": json.dumps({_MODEL: price}),
        # A key of the person's own has no business at the simulator.
        "SPRAT_FRONTIER__API_KEY": "",
    }


def simulator_environment(options: Options) -> dict[str, str]:
    """Give the simulator's variables."""
    simulation = options.simulation
    return {
        "SPRAT_SIMULATOR_SEED": str(simulation.seed),
        "SPRAT_SIMULATOR_LATENCY_MS": str(simulation.latency_ms),
        "SPRAT_SIMULATOR_JITTER_MS": str(simulation.jitter_ms),
        "SPRAT_SIMULATOR_WRONG_RATE": str(simulation.wrong_rate),
        "SPRAT_SIMULATOR_INPUT_EUR": str(simulation.input_eur),
        "SPRAT_SIMULATOR_OUTPUT_EUR": str(simulation.output_eur),
        "SPRAT_SIMULATOR_GOLD": str(simulation.gold),
    }
