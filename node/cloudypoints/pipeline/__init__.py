"""The pipeline: capture, inference, projection and publishing joined into a running node."""

from cloudypoints.pipeline.node import Node
from cloudypoints.pipeline.rig import Rig, Shot

__all__ = ["Node", "Rig", "Shot"]
