"""A custom runtime of MLServer, as its documentation shows: the encoder in ONNX Runtime int8, and Sprat's head."""

import os
import sys
from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

sys.path.insert(0, str(Path(__file__).parents[1]))
from plain_loop import Classifier


class IntentRuntime(MLModel):
    async def load(self) -> bool:
        self._classifier = Classifier(Path(os.environ["MODEL_FOLDER"]), "onnx-int8")
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        texts = StringCodec.decode_input(payload.inputs[0])
        answers = self._classifier.answer(texts)
        outputs = [StringCodec.encode_output("label", [label for label, _ in answers])]
        return InferenceResponse(id=payload.id, model_name=self.name, model_version=self.version, outputs=outputs)
