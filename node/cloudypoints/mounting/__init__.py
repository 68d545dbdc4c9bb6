"""How a camera sits over the ground: from a drive, from the horizon, or from marks on the ground.

Every way says what it measured and how surely (`sigma`), and leaves alone what it cannot know:
NaN there means that the value is the one that was told, not found.
"""

from cloudypoints.mounting.drawing import mount_picture
from cloudypoints.mounting.drive import from_drive
from cloudypoints.mounting.estimate import Estimate
from cloudypoints.mounting.horizon import from_horizon
from cloudypoints.mounting.marks import from_distances, from_marks
from cloudypoints.mounting.model import height_by_model

__all__ = [
    "Estimate",
    "from_distances",
    "from_drive",
    "from_horizon",
    "from_marks",
    "height_by_model",
    "mount_picture",
]
