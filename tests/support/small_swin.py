"""timm's Swin under a name of its own, small enough for tests: timm has none below 28 million parameters."""

from __future__ import annotations

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.swin_transformer import SwinTransformer, checkpoint_filter_fn

_HALF = (0.5, 0.5, 0.5)
default_cfgs = generate_default_cfgs(
    {
        "small_swin.untrained": {
            **{"num_classes": 10, "input_size": (3, 64, 64), "fixed_input_size": True, "mean": _HALF, "std": _HALF},
            **{"first_conv": "patch_embed.proj", "classifier": "head.fc"},
        }
    }
)


@register_model
def small_swin(pretrained: bool = False, **arguments: Any) -> Any:
    """The four stages of Swin with one block each, 8 to 64 channels."""
    sizes = {"window_size": 2, "embed_dim": 8, "depths": (1, 1, 2, 1), "num_heads": (1, 1, 2, 2)}
    return build_model_with_cfg(
        SwinTransformer,
        "small_swin",
        pretrained,
        pretrained_filter_fn=checkpoint_filter_fn,
        feature_cfg={"flatten_sequential": True, "out_indices": (0, 1, 2, 3)},
        **{"img_size": 64, **sizes, **arguments},
    )
