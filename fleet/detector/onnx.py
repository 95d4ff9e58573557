"""A network as ONNX Runtime runs it: on one core two to three times as fast as torch, which stays the reference.

One graph serves all cameras of one architecture: the weights may be given with the frames, so that a camera costs no
session of its own (6.7 MB and 20 ms each at 96 x 64, against nothing). Constant weights would be another fifth faster.
"""

from __future__ import annotations

import io
import threading
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fleet.detector.frames import chunks

__all__ = ["Runner"]

_sessions: dict[str, Any] = {}
_exporting = threading.Lock()  # torch's exporter is not made for two threads


class _FromBytes(nn.Module):
    """A network that takes uint8 (N, H, W, C) and gives float32 (N, H, W, C), as frames lie in memory."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor) -> Tensor:
        picture: Tensor = self.model(frames.permute(0, 3, 1, 2).float() / 255)[0]
        return picture.permute(0, 2, 3, 1)


class Runner:
    """Runs one network, whose weights it shares; the network takes (N, C, H, W) in 0..1 and first gives the same."""

    def __init__(self, model: nn.Module) -> None:
        channels, height, width = model.get_buffer("background").shape
        self._shape = (height, width, channels)
        self._session = _session_of(model)
        self._weights = {f"model.{name}": tensor.contiguous().numpy() for name, tensor in model.state_dict().items()}
        # A weight that the graph does not take would be another camera's: the one that the graph was made with.
        taken = {entry.name for entry in self._session.get_overridable_initializers()}
        assert taken == set(self._weights), taken ^ set(self._weights)

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Reconstructions of uint8 frames (N, H, W) or (N, H, W, C), in their shape, a chunk at a time."""
        pictures = np.zeros(frames.shape, np.float32)
        for part in chunks(frames):
            given = frames[part].reshape(-1, *self._shape)
            (made,) = self._session.run(None, {"frames": given, **self._weights})
            pictures[part] = made.reshape(pictures[part].shape)
        return pictures


def _session_of(model: nn.Module) -> Any:
    """The session of this architecture: its modules with their sizes, and the shapes of what they hold."""
    key = f"{model} {[(name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()]}"
    with _exporting:
        if key not in _sessions:
            _sessions[key] = _make_session(_export(model))
        return _sessions[key]


def _export(model: nn.Module) -> bytes:
    background = model.get_buffer("background")
    channels, height, width = background.shape
    graph = io.BytesIO()
    frames = torch.zeros(2, height, width, channels, dtype=torch.uint8)
    with warnings.catch_warnings():
        # The exporter that needs nothing but torch says that another one, which needs two more packages, is newer.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _FromBytes(model).eval(),
            (frames,),
            graph,  # type: ignore[arg-type]  # a file too
            input_names=["frames"],
            output_names=["pictures"],
            dynamic_axes={"frames": {0: "n"}, "pictures": {0: "n"}},
            keep_initializers_as_inputs=True,
            do_constant_folding=False,  # what is computed of one camera's background is no constant
            dynamo=False,
        )
    return graph.getvalue()


def _make_session(graph: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
