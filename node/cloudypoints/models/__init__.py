"""The model zoo: public models with what their numbers mean, fetched, adopted and tried.

    preset = preset_of("depth-anything-v2-small")
    for progress in pulled.fetch(): ...

A preset says what an ONNX file that knows nothing of us gives; `adopt` writes that into a copy.
"""

from cloudypoints.models.adopt import adopt
from cloudypoints.models.presets import Preset, preset_of, presets
from cloudypoints.models.pull import Pull, cache_folder

__all__ = ["Preset", "Pull", "adopt", "cache_folder", "preset_of", "presets"]
