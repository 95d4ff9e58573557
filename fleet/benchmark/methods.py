"""Every method by name: the paper's systems, the simple ones, and the default detector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cameras.errors import UsageError
from fleet.detector.baselines import METHODS
from fleet.detector.baselines import fit as fit_baseline
from fleet.detector.detector import Detector
from fleet.detector.footage import Footage

__all__ = ["DEFAULT_DETECTOR", "BenchmarkMethod", "fit_method", "method", "methods"]

DEFAULT_DETECTOR = "evidence"


@dataclass(frozen=True)
class BenchmarkMethod:
    """What tables say of a method, and what a plan must know.

    Attributes:
        one_class: it is given the clean frames alone, as in the paper.
        seeded: another seed gives another result.
        big: it takes a network of its own on every pixel: measured at the smaller working size.
    """

    name: str
    title: str
    one_class: bool
    seeded: bool
    big: bool


def methods() -> dict[str, BenchmarkMethod]:
    """In the order of the tables: ours first."""
    ours = BenchmarkMethod(DEFAULT_DETECTOR, "evidence (the default)", one_class=False, seeded=True, big=False)
    others = [BenchmarkMethod(m.name, m.title, m.one_class, m.learned, m.learned) for m in METHODS.values()]
    return {one.name: one for one in (ours, *others)}


def method(name: str) -> BenchmarkMethod:
    """
    Raises:
        UsageError: there is none of this name.
    """
    known = methods()
    if name not in known:
        raise UsageError(f"there is no method '{name}'", f"choose from: {', '.join(known)}")
    return known[name]


def fit_method(name: str, footage: Footage, seed: int, epochs: int | None = None) -> Detector:
    """A fitted detector; `epochs` None takes the method's own.

    Raises:
        FleetError: it cannot learn from these frames.
    """
    if name != DEFAULT_DETECTOR:
        return fit_baseline(name, footage, seed=seed, epochs=epochs)
    from fleet.detector.evidence import EvidenceConfig, fit_evidence

    config = EvidenceConfig()
    network = replace(config.mle, seed=seed, epochs=epochs or config.epochs)
    return fit_evidence(footage, replace(config, mle=network))


def latents_of(detector: Detector, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The latents of each frame, float32 (N, latent), of the paper's autoencoder, or of GCL's generator.

    Raises:
        UsageError: the detector has none.
    """
    import torch

    from fleet.detector.baselines.gcl import Gcl
    from fleet.detector.frames import chunks
    from fleet.detector.mle import MleDetector
    from fleet.detector.model import Autoencoder, to_tensor

    found = []
    with torch.inference_mode():
        for part in chunks(frames):
            if isinstance(detector, MleDetector):
                model, seen = detector.model, to_tensor(frames[part], torch.device("cpu"))
            elif isinstance(detector, Gcl):
                model = cast(Autoencoder, detector.net.generator)
                seen = torch.from_numpy(detector.scene.standardised(frames[part]))
            else:
                raise UsageError(f"'{detector.method}' has no latents to look at", "choose mle, vanilla-cae or gcl")
            found.append(model(seen)[1].numpy())
    return np.concatenate(found)
