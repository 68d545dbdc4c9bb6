"""Metres of typed depth: what a model gave, its card, and the scale, a person's or the ground's.

Depth of a kind without metres and without a scale stays without them, and never is guessed.
"""

from __future__ import annotations

import numpy as np

from cloudypoints.errors import NoMetres
from cloudypoints.geometry import Floats
from cloudypoints.inference.card import ModelCard
from cloudypoints.messages import Header, Scale
from cloudypoints.projector.ground import Ground
from cloudypoints.projector.settings import CloudSettings, GroundSettings

_REMEDY = '"ground" (from the ground and the camera\'s height, --scale ground)'


def metres_from(depth: Floats, card: ModelCard, ground: Ground) -> Floats:
    """Depth in metres (H, W), NaN where unknown, of what the model gave and the ground's scale.

    All of it is NaN while the scale is not known. Metric depth that needs no correction is handed
    back itself, not a copy.
    """
    if card.depth == "metric":
        return depth if ground.scale == 1 else np.asarray(depth * np.float32(ground.scale))
    inverse = depth - np.float32(ground.shift) if ground.shift else depth
    with np.errstate(divide="ignore"):
        metres: Floats = np.float32(ground.scale) / inverse
    # Beyond the shift of inverse depth lies nothing: such pixels see farther than any distance.
    metres[~(np.isfinite(metres) & (metres > 0))] = np.nan
    return metres


def gives_metres(card: ModelCard, cloud: CloudSettings) -> bool:
    """Whether this model and these settings add up to metres, and so to clouds and obstacles."""
    return card.depth == "metric" or (card.depth != "none" and bool(cloud.scale))


def check_metres(card: ModelCard, cloud: CloudSettings, ground: GroundSettings) -> None:
    """Raises NoMetres where a scale is set that cannot make metres of what this model gives."""
    if not cloud.scale:
        return
    if card.depth == "none":
        raise NoMetres(f"{card.name} gives no depth that [cloud] scale could make metres of")
    if cloud.scale == "ground" and not ground.fit:
        raise NoMetres('[cloud] scale = "ground" needs [ground] fit = true')
    if card.depth == "affine_inverse" and cloud.scale != "ground":
        raise NoMetres(
            f"{card.name} gives affine-inverse depth: scale and shift are unknown, and one number "
            f"makes no metres of it: set {_REMEDY}, or use a metric model such as the embedded one"
        )


def without_metres(card: ModelCard) -> str:
    """What comes of a model without them, and what to do; nothing to say of one without depth."""
    if card.depth == "none":
        return ""
    number = "" if card.depth == "affine_inverse" else "to metres per unit of 1 / depth, or "
    return (
        f"{card.name} gives {card.depth.replace('_', '-')} depth, which has no metres in it: it "
        f"is published as `relative`, without clouds and obstacles; for those set [cloud] scale "
        f"{number}{_REMEDY}, or use a metric model such as the embedded one"
    )


def scale_message(header: Header, ground: Ground, mount_height_m: float) -> Scale:
    """What to publish of the ground of one frame."""
    return Scale(
        header=header,
        pitch_rad=ground.pitch_rad,
        pitch_sigma_rad=ground.pitch_sigma_rad,
        roll_rad=ground.roll_rad,
        roll_sigma_rad=ground.roll_sigma_rad,
        height_m=ground.height_m,
        height_sigma_m=ground.height_sigma_m,
        mount_height_m=mount_height_m,
        scale=ground.scale,
        scale_sigma=ground.scale_sigma,
        shift=ground.shift,
        flat_m=ground.flat_m,
        flicker=ground.flicker,
        state=ground.state,
        reason=ground.reason,
    )
