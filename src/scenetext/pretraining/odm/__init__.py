"""ODM (Duan et al., CVPR 2024): the words of an image, drawn in one plain font where they are, to an image encoder."""

from scenetext.contracts import PretrainingSpec
from scenetext.data.loading.settings import PretrainingDataSettings
from scenetext.pretraining.odm.config import OdmSettings, OdmTransformSettings
from scenetext.pretraining.odm.metric import report
from scenetext.pretraining.odm.targets import usable_words
from scenetext.pretraining.odm.task import make_task

SPEC = PretrainingSpec(
    settings=OdmSettings,
    data=PretrainingDataSettings,
    transform=OdmTransformSettings,
    task=make_task,
    usable=usable_words,
    report=report,
    small={
        "encoder": {"layers": (1, 1, 1, 1), "width": 8},
        "input_size": 64,
        "embed_dim": 32,
        "text_width": 16,
        "text_heads": 2,
        "text_layers": 1,
        "decoder_layers": 1,
        "decoder_heads": 2,
        "pyramid_channels": 16,
        "maximum_words": 3,
    },
    image_positions=("network.visual.attnpool.positional_embedding", "network.image_pos"),
)
