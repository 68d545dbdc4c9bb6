"""The pipeline: capture, inference, projection and publishing joined into a running node."""

from cloudypoints.pipeline.node import Node
from cloudypoints.pipeline.rig import Rig
from cloudypoints.pipeline.shot import Shot

__all__ = ["Node", "Rig", "Shot"]
