"""Cameras from and to files: our TOML, ROS `camera_info`, KITTI text, OpenCV's YAML.

`load_camera` tells them apart by name and content. A file that says nothing of the mount (all but
our TOML) leaves it to the caller. Every fault is a CalibrationError: file, key, remedy.
"""

from cloudypoints.calibration.files import checked_lens, load_camera
from cloudypoints.calibration.ros import dump_camera_info
from cloudypoints.calibration.toml import dump_camera, dump_lens

__all__ = ["checked_lens", "dump_camera", "dump_camera_info", "dump_lens", "load_camera"]
