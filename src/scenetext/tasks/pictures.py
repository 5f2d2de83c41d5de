"""The images of a batch as pictures for people."""

from __future__ import annotations

import numpy as np

from scenetext.structures import Batch


def named_photographs(batch: Batch) -> dict[str, np.ndarray]:
    """The photographs of a batch as the network sees them, padding cut off: names to (H, W, 3) uint8 RGB.

    A name is the place in the batch and that of the file, "3_sign", since files of one name lie in many folders.
    """
    images = batch.images.permute(0, 2, 3, 1).cpu().numpy()
    return {
        f"{index}_{meta.path.stem}": np.ascontiguousarray(image[: meta.content_size[0], : meta.content_size[1]])
        for index, (image, meta) in enumerate(zip(images, batch.metas, strict=True))
    }
