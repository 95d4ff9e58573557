"""Baselines: the systems of the paper's Table 1 and the simple ones, each behind `Detector`.

    fitted = baselines.fit("median-frame", footage)
    scores = fitted.score(footage)
    tensors, meta = fitted.state()
    the_same = baselines.load(tensors, meta)

Those of Table 1 are small implementations after their papers; what is not as published stands in each docstring. The
one-class ones are to be fitted on footage without anomalies (see `clean_part`). Importing this loads no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from cameras.errors import UsageError
from fleet.detector.baselines.clean import clean_part
from fleet.detector.detector import Detector
from fleet.detector.footage import Footage

__all__ = ["METHODS", "Method", "clean_part", "fit", "load"]


@dataclass(frozen=True, slots=True)
class Method:
    """A baseline, before its module is imported.

    Attributes:
        name: as `fleet benchmark --methods` takes it, and `meta["method"]` has it.
        title: for the rows of tables.
        idea: one sentence.
        source: whose it is.
        home: module of this package and class in it, 'module:Class'.
        one_class: to be fitted on the clean part only.
        learned: trains a network, so that `epochs` mean something.
    """

    name: str
    title: str
    idea: str
    source: str
    home: str
    one_class: bool = False
    learned: bool = False


_ALL = (
    Method(
        "vanilla-cae", "Vanilla CAE", "A convolutional autoencoder trained by squared error; 1 - PCC.",
        "MLE paper, appendix C", "cae:VanillaCae", learned=True,
    ),
    Method(
        "mle", "MLE (sigma .1, lambda 1)", "The same with minimal latent entropy.",
        "MLE paper, Table 1", "cae:Mle", learned=True,
    ),
    Method(
        "gcl", "GCL", "An autoencoder and a discriminator that label each other's frames.",
        "Zaheer et al., CVPR 2022", "gcl:Gcl", learned=True,
    ),
    Method(
        "tmae", "TMAE", "Patches of what moves, half of them hidden along time and completed by a transformer.",
        "Hu et al., ICME 2022", "tmae:Tmae", learned=True,
    ),
    Method(
        "roadmap", "ROADMAP", "The next frame, predicted by recurrent convolutions on three scales.",
        "Wang et al., TNNLS 2021", "roadmap:Roadmap", one_class=True, learned=True,
    ),
    Method(
        "gan", "GAN", "Two adversarial networks that draw flow from frame and frame from flow.",
        "Ravanbakhsh et al., ICIP 2017", "flow_gan:FlowGan", one_class=True, learned=True,
    ),
    Method(
        "dast", "DAST-style", "A spatio-temporal autoencoder with dense blocks and visual attention.",
        "after the title of Kommanduri and Ghorai, Neurocomputing 2024", "dast:Dast", one_class=True, learned=True,
    ),
    Method(
        "median-frame", "Median frame", "1 - PCC with the median of each pixel over time.",
        "folklore", "median_frame:MedianFrame",
    ),
    Method(
        "pca-32", "PCA-32", "1 - PCC with the projection onto 32 principal components.",
        "folklore", "pca:Pca",
    ),
    Method(
        "mog2", "MOG2", "Share of the pixels outside of a mixture of Gaussians each.",
        "Zivkovic, ICPR 2004; OpenCV", "mog2:Mog2",
    ),
    Method(
        "frame-difference", "Frame difference", "Mean absolute difference from the frame before.",
        "folklore", "frame_difference:FrameDifference",
    ),
    Method(
        "frame-difference-cells", "Frame difference, worst cells",
        "Mean squared blurred difference from the frame before over the worst 5 % of cells.",
        "folklore", "frame_difference:FrameDifferenceCells",
    ),
    Method(
        "nearest-neighbours", "Nearest neighbours",
        "Distance to the 5 nearest frames of other times, on 16 principal components of down-scaled pixels.",
        "folklore", "nearest:NearestNeighbours",
    ),
    Method(
        "isolation-forest", "Isolation forest", "How few random cuts of the same 16 numbers set a frame apart.",
        "Liu et al., ICDM 2008; scikit-learn", "isolation_forest:IsolationForest",
    ),
)  # fmt: skip

METHODS: dict[str, Method] = {method.name: method for method in _ALL}
"""All baselines by name, in the order of a table."""


def fit(
    name: str,
    footage: Footage,
    *,
    valid: NDArray[np.bool_] | None = None,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "cpu",
) -> Detector:
    """Fit the baseline of this name; see `Baseline.fit` for the arguments.

    Raises:
        UsageError: no such baseline; frames or a mask that nothing can be learnt from.
        FleetError: the training diverged.
    """
    return _method_class(name).fit(footage, valid=valid, seed=seed, epochs=epochs, device=device)


def load(tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Detector:
    """The baseline of which `state` gave these.

    Raises:
        UsageError: of a method that is none of these.
        KeyError, ValueError, RuntimeError: something is missing, or does not fit the rest.
    """
    return _method_class(meta["method"]).from_state(tensors, meta)


class _Fits(Protocol):
    def fit(
        self,
        footage: Footage,
        *,
        valid: NDArray[np.bool_] | None,
        seed: int,
        epochs: int | None,
        device: str,
    ) -> Detector: ...

    def from_state(self, tensors: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Detector: ...


def _method_class(name: str) -> _Fits:
    if name not in METHODS:
        raise UsageError(f"there is no baseline {name!r}", f"take one of {', '.join(METHODS)}")
    module, cls = METHODS[name].home.split(":")
    return cast(_Fits, getattr(importlib.import_module(f"{__name__}.{module}"), cls))
