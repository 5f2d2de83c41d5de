"""oCLIP (Xue et al., ECCV 2022): images and the words in them, no boxes, to an image encoder that knows text."""

from scenetext.contracts import PretrainingSpec
from scenetext.data.loading.settings import PretrainingDataSettings
from scenetext.data.transforms.evaluation import WholeImageTransformSettings
from scenetext.pretraining.oclip.config import OclipSettings
from scenetext.pretraining.oclip.metric import report
from scenetext.pretraining.oclip.targets import usable_words
from scenetext.pretraining.oclip.task import make_task

SPEC = PretrainingSpec(
    settings=OclipSettings,
    data=PretrainingDataSettings,
    transform=WholeImageTransformSettings,
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
        "maximum_words": 2,
    },
    image_positions=("network.visual.attnpool.positional_embedding", "network.image_pos"),
)
