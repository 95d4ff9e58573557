"""What scoring and fitting cost on one core, beside what must be paid anyway: decoding the same frames.

    python benchmarks/detector.py                    # a table; --json for scripts
    pip install -e '.[benchmarks]' && python benchmarks/detector.py     # with anomalib's PaDiM and EfficientAd-S beside

All parts see the same 640 x 360 frames of the generated corridor, in one process and one thread, in turns, so that a
busy machine slows them alike: trust the ratios. A part's figure is its best round.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from cameras.camera import Preprocessing
from cameras.preprocess import preprocess
from cameras.scenes import write_scene
from fleet.detector.evidence import EvidenceConfig, fit_evidence
from fleet.detector.footage import Footage
from fleet.detector.model import reconstruct
from fleet.detector.onnx import Runner

SIZE_PX = (640, 360)
FPS = 5.0
BATCH = 32
ANOMALIB_SIDE_PX = 256


def decode(video: Path) -> list[np.ndarray]:
    """All frames as RGB, one thread."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


def decode_only(video: Path) -> None:
    """Decoding alone: no frame leaves the decoder's own colours."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        for _ in container.decode(stream):
            pass


def parts(video: Path, frames: int) -> dict[str, tuple[Callable[[], object], int]]:
    """Each part as a function, with the number of frames that one call of it takes."""
    prep = Preprocessing(fps=FPS)
    images = decode(video)
    seen = np.stack([preprocess(image, prep) for image in images])
    footage = Footage.of(seen, FPS)
    detector = fit_evidence(footage, EvidenceConfig())
    model = detector.mle.model
    runner = Runner(model)
    context = detector.context
    first = context + 1
    batch, single = footage[: BATCH + context], footage[:first]
    return {
        "decode H.264 640 x 360": (lambda: decode_only(video), frames),
        "decode, to RGB": (lambda: decode(video), frames),
        "mask, resize, grey": (lambda: [preprocess(image, prep) for image in images[:BATCH]], BATCH),
        "network, torch, batches of 32": (lambda: reconstruct(model, seen[:BATCH]), BATCH),
        "network, ONNX Runtime, batches of 32": (lambda: runner(seen[:BATCH]), BATCH),
        "network, torch, one frame": (lambda: reconstruct(model, seen[:1]), 1),
        "network, ONNX Runtime, one frame": (lambda: runner(seen[:1]), 1),
        "the default detector, batches of 32 with context": (lambda: detector.score(batch), BATCH),
        "the default detector, one frame with its context": (lambda: detector.score(single), 1),
        "fit the default detector, a frame of the recording": (lambda: fit_evidence(footage, EvidenceConfig()), frames),
        **anomalib_parts(images),
    }


def anomalib_parts(images: list[np.ndarray]) -> dict[str, tuple[Callable[[], object], int]]:
    """PaDiM and EfficientAd-S on one frame of 256 x 256; nothing where anomalib is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel
            from anomalib.models.image.padim.torch_model import PadimModel
    except ImportError:
        return {}
    side = (ANOMALIB_SIDE_PX, ANOMALIB_SIDE_PX)
    picture = torch.from_numpy(cv2.resize(images[0], side)).permute(2, 0, 1)[None].float() / 255
    # Random weights and, for PaDiM, a memory of 32 random frames: what they cost does not depend on what they learnt.
    padim = PadimModel(backbone="resnet18", layers=["layer1", "layer2", "layer3"], pre_trained=False)
    padim.train()
    for _ in range(2):
        padim(torch.rand(16, 3, *side))
    padim.fit()
    padim.eval()
    efficient_ad = EfficientAdModel(teacher_out_channels=384).eval()

    def run(model: torch.nn.Module) -> object:
        with torch.inference_mode():
            return model(picture)

    return {
        "anomalib PaDiM (ResNet-18), one frame": (lambda: run(padim), 1),
        "anomalib EfficientAd-S, one frame": (lambda: run(efficient_ad), 1),
    }


def measure(measured: dict[str, tuple[Callable[[], object], int]], rounds: int) -> dict[str, float]:
    """Milliseconds a frame of each part, the best of so many rounds, the parts in turns."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, (run, frames) in measured.items():
            calls = max(1, 64 // frames)
            started = time.perf_counter()
            for _ in range(calls):
                run()
            spent = (time.perf_counter() - started) * 1e3 / (calls * frames)
            best[name] = min(spent, best.get(name, spent))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        video = write_scene("corridor", folder, frames=options.frames, size=SIZE_PX).video
        spent_ms = measure(parts(video, options.frames), options.rounds)
    decoding = spent_ms["decode H.264 640 x 360"]
    if options.json:
        print(json.dumps({name: {"ms": ms, "of_decoding": ms / decoding} for name, ms in spent_ms.items()}, indent=1))
        return
    table = Table("part", "ms a frame", "frames/s", "of decoding", title="one core, one thread")
    for name, ms in spent_ms.items():
        table.add_row(name, f"{ms:.3f}", f"{1e3 / ms:,.0f}", f"{ms / decoding:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
