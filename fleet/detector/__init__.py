"""The science: frames of one camera in, a detector of the unusual out. No Ray, no files, no network.

After "Fully Unsupervised Video Anomaly Detection with Minimal Latent Entropy"; docstrings name its equations. Names are
imported when they are first used, so that this package, and `fleet --help`, come without torch. `fit` is the one that
lives in its module alone: a package cannot hold a function and a module of one name.

    from fleet.detector.fit import fit

    detector = fit(frames)                # uint8 (N, H, W)
    unusual = detector.flag(detector.pcc(frames))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleet.detector.config import DetectorConfig, light_config, paper_batch_size
    from fleet.detector.detector import Channel, Detector, Scores
    from fleet.detector.entropy import entropy_loss
    from fleet.detector.fit import Fitting
    from fleet.detector.footage import Footage
    from fleet.detector.light import LightAutoencoder
    from fleet.detector.losses import reconstruction_loss
    from fleet.detector.mle import MleDetector
    from fleet.detector.model import Autoencoder
    from fleet.detector.network import Network
    from fleet.detector.objectives import OBJECTIVES, Fitted, Objective, objective
    from fleet.detector.reference import median_frame, median_pcc, moving_view
    from fleet.detector.score import error_map, pcc
    from fleet.detector.select import Choice, choose
    from fleet.detector.stats import EpochStats
    from fleet.detector.threshold import paper_threshold

__all__ = [
    "OBJECTIVES",
    "Autoencoder",
    "Channel",
    "Choice",
    "Detector",
    "DetectorConfig",
    "EpochStats",
    "Fitted",
    "Fitting",
    "Footage",
    "LightAutoencoder",
    "MleDetector",
    "Network",
    "Objective",
    "Scores",
    "choose",
    "entropy_loss",
    "error_map",
    "light_config",
    "median_frame",
    "median_pcc",
    "moving_view",
    "objective",
    "paper_batch_size",
    "paper_threshold",
    "pcc",
    "reconstruction_loss",
]

_HOMES = {
    "config": ("DetectorConfig", "light_config", "paper_batch_size"),
    "detector": ("Channel", "Detector", "Scores"),
    "entropy": ("entropy_loss",),
    "fit": ("Fitting",),
    "footage": ("Footage",),
    "light": ("LightAutoencoder",),
    "losses": ("reconstruction_loss",),
    "mle": ("MleDetector",),
    "model": ("Autoencoder",),
    "network": ("Network",),
    "objectives": ("OBJECTIVES", "Fitted", "Objective", "objective"),
    "reference": ("median_frame", "median_pcc", "moving_view"),
    "score": ("error_map", "pcc"),
    "select": ("Choice", "choose"),
    "stats": ("EpochStats",),
    "threshold": ("paper_threshold",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
