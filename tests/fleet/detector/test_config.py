from __future__ import annotations

import json
import math

import pytest

from fleet.detector.config import DetectorConfig, light_config, paper_batch_size


def test_the_defaults_are_the_papers_point():
    config = DetectorConfig()
    assert (config.sigma, config.lam, config.latent, config.learning_rate, config.kappa) == (0.1, 1.0, 32, 5e-4, 0.5)


@pytest.mark.parametrize(("n_frames", "batch_size"), [(2, 64), (902, 64), (1_200, 128), (9_999, 128), (18_000, 256)])
def test_batch_sizes_of_the_papers_datasets(n_frames: int, batch_size: int):
    assert paper_batch_size(n_frames) == batch_size


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"sigma": 0}, r"sigma is a number above 0 and at most 1000, not 0: the paper searches 0\.01 to 1"),
        ({"sigma": math.nan}, "sigma is a number above 0"),
        ({"sigma": "0.1"}, "sigma is a number above 0"),
        ({"lam": -1}, "lam is a number at least 0"),
        ({"lam": math.inf}, "lam is a number at least 0"),
        ({"latent": 0}, "latent is a whole number from 1 to 4096, not 0: the paper takes 32"),
        ({"latent": True}, "latent is a whole number"),
        ({"epochs": 0}, "epochs is a whole number from 1"),
        ({"learning_rate": 2}, "learning_rate is a number above 0 and at most 1"),
        ({"batch_size": 1}, "batch_size is a whole number from 2"),
        ({"channels": ()}, "channels holds at least one"),
        ({"channels": (8, 0)}, "channels is a whole number from 1"),
        ({"kernel": "cosine"}, "kernel is one of norm, elementwise, dimension, not 'cosine'"),
        ({"network": "deep"}, "network is one of plain, light, not 'deep'"),
        ({"alpha": 0}, "alpha is a number above 0"),
        ({"alpha": 1.0}, "alpha is not 1"),
        ({"error": "l2"}, "error is one of squared, l1, huber, charbonnier, trimmed"),
        ({"error_reduction": "max"}, "error_reduction is one of sum, mean"),
        ({"entropy_as": "bound"}, "entropy_as is one of penalty, cap"),
        ({"cap": -1}, "cap is a number at least 0"),
        ({"error_scale": "std"}, "error_scale is one of variance, none"),
        ({"kappa": math.nan}, "kappa is a number"),
        ({"seed": -1}, "seed is a whole number from 0"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_the_rule(setting: dict, message: str):
    with pytest.raises(ValueError, match=message):
        DetectorConfig(**setting)


def test_lambda_zero_is_the_plain_autoencoder_and_allowed():
    assert DetectorConfig(lam=0).lam == 0


def test_a_configuration_survives_json():
    config = DetectorConfig(sigma=0.5, channels=(4, 8), batch_size=32, kernel="elementwise")
    assert DetectorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(ValueError, match=r"no setting 'sigmma': it knows sigma, lam"):
        DetectorConfig.from_dict({"sigmma": 1})


def test_the_light_networks_settings_take_changes():
    config = light_config(sigma=0.25)
    assert (config.network, config.entropy_as, config.error, config.sigma) == ("light", "cap", "charbonnier", 0.25)
