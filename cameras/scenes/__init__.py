"""Generated scenes with ground truth, written as real video files: for the demo, tests and benchmarks.

After the three data sets of the paper: a corridor that a crowd fills (20 % of the frames), an office in a fire
alarm (50 %) and a car's view with drops of water on the lens (12.5 %).
"""

from cameras.scenes.catalogue import SCENES, SceneFiles, render, scene_names, write_scene
from cameras.scenes.scene import Scene

__all__ = ["SCENES", "Scene", "SceneFiles", "render", "scene_names", "write_scene"]
