"""Encoders that others made and, where the network allows, trained: timm's, behind our errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloudypoints.errors import ConfigError, MissingExtra, ModelError


def features_of(name: str, *, pretrained: bool) -> Any:
    """A timm encoder as a list of feature maps, at 1/2 or 1/4 to 1/32 of the picture.

    `pretrained` fetches the weights that timm names for it (huggingface.co). Raises ConfigError for
    an unknown encoder, ModelError where the weights cannot be fetched.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingExtra(f"the encoder {name}", "train") from error
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name[:6]}*")[:6])
        raise ConfigError(f"encoder {name!r}: timm knows none of this name; similar: {close}")
    return fetched(
        f"encoder {name}",
        lambda: timm.create_model(name, pretrained=pretrained, features_only=True),
    )


def fetched(what: str, make: Callable[[], Any]) -> Any:
    """What `make` gives; a failing download is a ModelError that says what would work."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return make()
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise ModelError(
            f"{what}: its pretrained weights cannot be fetched ({type(error).__name__}); connect "
            f"to huggingface.co once, or set pretrained = false"
        ) from error
