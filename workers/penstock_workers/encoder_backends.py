"""Other engines than torch for an encoder: its transformer is converted once, when it is loaded.

The backends of sentence-transformers need Optimum, which cannot be installed beside the
transformers that vLLM needs. Nothing of it is needed for an encoder: it is converted here, and
tokenizer, pooling and all other modules stay as they are.
"""

import io
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Literal

import numpy as np

from penstock_shared.errors import SettingsError

Backend = Literal["torch", "onnx", "openvino"]

_NEEDED: Final[Mapping[str, Mapping[str, str]]] = {
    "torch": {},
    "onnx": {"onnxruntime": "onnxruntime", "onnx": "onnx"},
    "openvino": {"openvino": "openvino"},
}
_KNOWN_INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")

_Tensors = Mapping[str, Any]
_Run = Callable[[dict[str, Any]], Any]  # arrays by name to hidden states


def require(backend: Backend) -> None:
    """SettingsError when a package that the backend needs is not installed."""
    needed = _NEEDED[backend]
    missing = [package for module, package in needed.items() if find_spec(module) is None]
    if missing:
        raise SettingsError(
            f"the encoder's backend {backend!r} needs packages that are not installed: "
            f"pip install {' '.join(missing)}"
        )


def compile_in_place(transformer: Any, backend: Backend) -> str:
    """Let ``backend`` compute the first module of a sentence-transformers model.

    ``transformer`` holds a float32 model on the CPU. Returns the precision that is computed in.
    """
    import torch

    model = transformer.model
    model.set_attn_implementation("eager")  # plain operators, which every converter knows
    model.config.return_dict = False
    example = dict(transformer.tokenizer(["one", "one two"], padding=True, return_tensors="pt"))
    inputs = {name: example[name] for name in _KNOWN_INPUTS if name in example}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # about tracing: shapes stay open, and tests compare them
        run, precision = _CONVERTERS[backend](model.eval(), inputs)

    def forward(**features: Any) -> dict[str, Any]:
        arrays = {name: features[name].numpy() for name in inputs}
        return {"last_hidden_state": torch.from_numpy(np.array(run(arrays)))}

    model.forward = forward
    return precision


def _onnx(model: Any, inputs: _Tensors) -> tuple[_Run, str]:
    import torch

    onnxruntime = import_module("onnxruntime")
    written = io.BytesIO()
    torch.onnx.export(
        _plain(model),
        tuple(inputs.values()),
        written,
        input_names=list(inputs),
        output_names=["states"],
        dynamic_axes={name: {0: "questions", 1: "tokens"} for name in (*inputs, "states")},
        dynamo=False,
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        written.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    return lambda arrays: session.run(["states"], arrays)[0], "float32"


def _plain(model: Any) -> Any:
    """The model with few named inputs, as the exporter passes them by position."""
    import torch

    class Plain(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            kinds = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            return self.model(input_ids=input_ids, attention_mask=attention_mask, **kinds)[0]

    return Plain().eval()


def _openvino(model: Any, inputs: _Tensors) -> tuple[_Run, str]:
    openvino = import_module("openvino")
    converted = openvino.convert_model(model, example_input=dict(inputs))
    compiled = openvino.Core().compile_model(converted, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return lambda arrays: compiled(arrays)[0], {"f32": "float32", "bf16": "bfloat16"}.get(
        precision, precision
    )


_CONVERTERS: Final[Mapping[str, Callable[[Any, _Tensors], tuple[_Run, str]]]] = {
    "onnx": _onnx,
    "openvino": _openvino,
}
