"""The intent service. Its default model is on the multilingual encoder; `en-fast` is for English, at half the cost."""

from pathlib import Path
from typing import Final

from sprat_encoder.label_model import LabellingModel
from sprat_encoder.networks import NETWORKS
from sprat_inference.serving import Specialist

SHIPPED: Final = Path(__file__).parent / "artefacts" / "default"
SERVICE: Final = Specialist("intent", dict.fromkeys(NETWORKS, LabellingModel.load), SHIPPED)

if __name__ == "__main__":
    raise SystemExit(SERVICE.run())
