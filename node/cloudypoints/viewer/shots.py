"""What is seen, kept: the window and its cloud, in files that are named by the time."""

from __future__ import annotations

import time
from pathlib import Path

from cloudypoints.errors import CloudyPointsError
from cloudypoints.formats import save_cloud
from cloudypoints.messages import Cloud
from cloudypoints.picture import save_picture
from cloudypoints.picture.canvas import Canvas


def save_shot(picture: Canvas, cloud: Cloud | None, folder: Path = Path()) -> str:
    """Write PNG, and PLY where there is a cloud, into `folder`; what to say of it, also in vain."""
    stem = folder / time.strftime("cloudypoints-%Y%m%d-%H%M%S")
    written = []
    try:
        save_picture(stem.with_suffix(".png"), picture)
        written.append(stem.with_suffix(".png").name)
        if cloud is not None:
            save_cloud(stem.with_suffix(".ply"), cloud)
            written.append(stem.with_suffix(".ply").name)
    except (CloudyPointsError, OSError) as error:
        return f"not saved: {error}"
    return f"saved {', '.join(written)}"
