"""The choices of the paper's method, one at a time: what each does to the latent at the paper's sigma and lambda.

The paper leaves the kernel, the order of the entropy, the error and its scale open, and reviewers asked for them. Each
variant changes one thing of the same network; the last ones are the light network of the default detector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cameras.errors import UsageError
from fleet.detector.config import DetectorConfig, light_config

__all__ = ["VARIANTS", "variant_config"]

_LIGHT = {"network": "light"}

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "sigma .1, lambda 1, error over the scene's variance": {},
    "the error as it is (eq 3)": {"error_scale": "none"},
    "no entropy term": {"lam": 0.0},
    "lambda .1": {"lam": 0.1},
    "lambda .01": {"lam": 0.01},
    "sigma 1, lambda .01": {"sigma": 1.0, "lam": 0.01},
    "kernel: elementwise": {"kernel": "elementwise"},
    "kernel: a dimension at a time": {"kernel": "dimension"},
    "order alpha .5": {"alpha": 0.5},
    "order alpha 1.5": {"alpha": 1.5},
    "order alpha 3": {"alpha": 3.0},
    "error: L1": {"error": "l1"},
    "error: Huber": {"error": "huber"},
    "error: Charbonnier": {"error": "charbonnier"},
    "error: trimmed 30 %": {"error": "trimmed"},
    "error: mean over pixels, not divided": {"error_reduction": "mean", "error_scale": "none"},
    "latent 4": {"latent": 4},
    "latent 128": {"latent": 128},
    "entropy as a cap of 1 nat": {"entropy_as": "cap", "cap": 1.0},
    "entropy as a cap of 3 nats": {"entropy_as": "cap", "cap": 3.0},
    "light network, cap 0": {**_LIGHT, "cap": 0.0},
    "light network, cap 1": {**_LIGHT, "cap": 1.0},
    "light network, cap 3": {**_LIGHT, "cap": 3.0},
    "light network, no entropy term": {**_LIGHT, "cap": 100.0, "lam": 0.0},
}
"""Name -> what differs from `DetectorConfig`, of the light network from `light_config`."""


def variant_config(name: str, seed: int, epochs: int | None) -> DetectorConfig:
    """The configuration of a variant; `epochs` None takes its network's own.

    Raises:
        UsageError: there is no such variant.
    """
    if name not in VARIANTS:
        raise UsageError(f"there is no variant '{name}'", f"choose from: {'; '.join(VARIANTS)}")
    changes = dict(VARIANTS[name]) | {"seed": seed} | ({} if epochs is None else {"epochs": epochs})
    return light_config(**changes) if changes.get("network") == "light" else DetectorConfig(**changes)
