"""Generated scenes with ground truth, written as real video files: for the demo, tests and benchmarks.

After the three data sets of the paper: a corridor that a crowd fills (20 % of the frames), an office in a fire
alarm (50 %) and a car's view with drops of water on the lens (12.5 %). For quiet tests a yard outdoors, by the
clock. `paste_patches` and `wet_lens` put known anomalies over real footage.
"""

from cameras.scenes.catalogue import SCENES, SceneFiles, plan_scene, render, scene_names, write_scene
from cameras.scenes.overlay import paste_patches, wet_lens
from cameras.scenes.scene import Plan, Scene
from cameras.scenes.yard import event_kinds

__all__ = [
    "SCENES",
    "Plan",
    "Scene",
    "SceneFiles",
    "event_kinds",
    "paste_patches",
    "plan_scene",
    "render",
    "scene_names",
    "wet_lens",
    "write_scene",
]
