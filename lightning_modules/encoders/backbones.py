"""Published classification networks of torchvision without their heads: frames in, maps of features out."""

from collections import OrderedDict
from difflib import get_close_matches

from torch import nn

FAMILIES = (
    "alexnet",
    "convnext",
    "densenet",
    "efficientnet",
    "mnasnet",
    "mobilenet",
    "regnet",
    "resnet",
    "resnext",
    "shufflenet",
    "squeezenet",
    "vgg",
    "wide_resnet",
)
"""Families whose networks are a chain of parts that ends in a head; the rest of torchvision's are not."""
HEADS = ("avgpool", "classifier", "fc")
"""What follows the features in all of these families."""


def backbone_names() -> list[str]:
    """The names that `build_backbone` knows, sorted."""
    from torchvision import models  # type: ignore[import-untyped]

    return [name for name in models.list_models(module=models) if name.startswith(FAMILIES)]


def build_backbone(name: str) -> nn.Sequential:
    """The network `name` up to its last map of features, untrained, its parts named as in torchvision.

    (batch, 3, height, width) normalised RGB -> (batch, feature, height', width'). Parameters are drawn from
    torch's global generator. Errors: ValueError for a name that is not known, with near names.
    """
    from torchvision import models

    check_backbone(name)
    whole = models.get_model(name, weights=None)
    parts = OrderedDict((part, module) for part, module in whole.named_children() if part not in HEADS)
    if name.startswith("densenet"):
        parts["relu"] = nn.ReLU()  # torchvision's forward applies it between the features and the head
    return nn.Sequential(parts)


def check_backbone(name: str) -> None:
    """Return when `name` is known. Errors: ValueError with near names, or with the families."""
    names = backbone_names()
    if name in names:
        return
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(FAMILIES)}"
    raise ValueError(
        f"model.encoder.backbone={name}: no convolutional classification network of torchvision; {meant}"
    )
