"""Pre-training from a part of the words (oCLIP, Table 3): the rest counts as not annotated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from scenetext.data.records.files import RecordView
from scenetext.structures import ImageRecord


def keep_share_of_words(records: Sequence[ImageRecord], share: float, seed: int) -> Sequence[ImageRecord]:
    """The records with a share of each image's words, at least one.

    Which words are kept follows from the seed and the words of the image alone: the same for any path of the image
    and on any machine. The words of a smaller share are among those of a larger one.

    Args:
        records: one instance per word, as `usable_texts` gives them.
        share: above 0 and up to 1; of n words, n * share are kept, rounded.
        seed: another seed keeps other words.
    """
    return records if share == 1 else RecordView(records, range(len(records)), _KeepShare(share, seed))


@dataclass(frozen=True, slots=True)
class _KeepShare:
    share: float
    seed: int

    def __call__(self, record: ImageRecord) -> ImageRecord:
        words = record.instances
        if not words:
            return record
        image = sha256("\n".join([str(self.seed), *(str(word.text) for word in words)]).encode("utf-8")).digest()
        # Ordered by hashes, not by a random generator: those may differ from one version of numpy to another.
        order = sorted(range(len(words)), key=lambda index: sha256(image + index.to_bytes(8, "big")).digest())
        count = max(1, math.floor(len(words) * self.share + 0.5))
        return replace(record, instances=tuple(words[index] for index in sorted(order[:count])))
