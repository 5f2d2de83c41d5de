"""Every matching rule once more, as slowly and plainly as it can be said: dense tables, loops, shapely."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import shapely

from scenetext.evaluation.rules import DetEvalProtocol, IouProtocol, Protocol
from scenetext.structures import Detection, TextInstance

Counts = tuple[float, float, int, int]
"""found, hits, ground truths, detections"""


def naive_counts(detections: list[Detection], instances: list[TextInstance], protocol: Protocol) -> Counts:
    """All detections, whatever their scores. Polygons must be valid."""
    words = [instance for instance in instances if protocol.ignored == "counted" or not instance.ignore]
    if protocol.ignored == "free":
        words = list(instances)
    if protocol.ignored == "neutral":
        regions = [shape(instance) for instance in instances if instance.ignore]
        detections = [
            found
            for found in detections
            if not any(
                shape(found).intersection(r).area / shape(found).area > protocol.ignore_threshold for r in regions
            )
        ]
    if isinstance(protocol, DetEvalProtocol):
        found, hits = deteval(words, detections, protocol)
        return found, hits, len(words), len(detections)
    assert isinstance(protocol, IouProtocol)
    fits = fit_table(words, detections, protocol)
    count, hit_words = MATCHINGS[protocol.matching](fits, words, detections)
    counted = len(words)
    if protocol.ignored == "free":
        counted = sum(not word.ignore or index in hit_words for index, word in enumerate(words))
    return count, count, counted, len(detections)


def shape(item: Detection | TextInstance) -> shapely.Polygon:
    assert item.polygon is not None
    return shapely.Polygon(item.polygon)


def share_inside(found: Detection, region: TextInstance) -> float:
    return shape(found).intersection(shape(region)).area / shape(found).area


def iou(one: Detection | TextInstance, other: Detection | TextInstance) -> float:
    shared = shape(one).intersection(shape(other)).area
    return shared / (shape(one).area + shape(other).area - shared)


def fit_table(words: list[TextInstance], found: list[Detection], protocol: IouProtocol) -> list[list[bool]]:
    limit = protocol.iou_threshold
    return [[iou(w, d) > limit if protocol.strict else iou(w, d) >= limit for d in found] for w in words]


def greedy(fits: list[list[bool]], words: list[TextInstance], found: list[Detection]) -> tuple[int, set[int]]:
    taken: set[int] = set()
    matched = set()
    for row in range(len(words)):
        for column in range(len(found)):
            if fits[row][column] and column not in taken and row not in matched:
                taken.add(column)
                matched.add(row)
    return len(matched), matched


def maximum(fits: list[list[bool]], words: list[TextInstance], found: list[Detection]) -> tuple[int, set[int]]:
    pairs = [pair for pair in product(range(len(words)), range(len(found))) if fits[pair[0]][pair[1]]]
    for size in range(min(len(words), len(found)), 0, -1):
        for chosen in combinations(pairs, size):
            rows, columns = {row for row, _ in chosen}, {column for _, column in chosen}
            if len(rows) == len(columns) == size:
                return size, rows
    return 0, set()


def highest(fits: list[list[bool]], words: list[TextInstance], found: list[Detection]) -> tuple[int, set[int]]:
    rows, columns = set(range(len(words))), set(range(len(found)))
    matched = set()
    while True:
        left = [(-iou(words[r], found[c]), r, c) for r in rows for c in columns if fits[r][c]]
        if not left:
            return len(matched), matched
        _, row, column = min(left)
        rows.remove(row)
        columns.remove(column)
        matched.add(row)


def argmax(fits: list[list[bool]], words: list[TextInstance], found: list[Detection]) -> tuple[int, set[int]]:
    matched: set[int] = set()
    for column in sorted(range(len(found)), key=lambda index: -found[index].score):
        overlaps = [iou(word, found[column]) for word in words]
        if overlaps:
            row = int(np.argmax(overlaps))
            if fits[row][column]:
                matched.add(row)
    return len(matched), matched


def cover(fits: list[list[bool]], words: list[TextInstance], found: list[Detection]) -> tuple[int, set[int]]:
    covered: set[int] = set()
    right = 0
    for column in range(len(found)):
        new = {row for row in range(len(words)) if fits[row][column] and row not in covered}
        covered |= new
        right += bool(new)
    return right, covered


def any_detection(fits: list[list[bool]], words: list[TextInstance], found: list[Detection]) -> tuple[int, set[int]]:
    matched = {row for row in range(len(words)) if any(fits[row])}
    return len(matched), matched


MATCHINGS = {
    "greedy": greedy,
    "maximum": maximum,
    "highest": highest,
    "argmax": argmax,
    "cover": cover,
    "any": any_detection,
}


def deteval(words: list[TextInstance], found: list[Detection], rule: DetEvalProtocol) -> tuple[float, float]:
    """Tables of recall (sigma) and precision (tau), and flags of what is matched."""
    shared = np.array([[shape(w).intersection(shape(d)).area for d in found] for w in words]).reshape(
        len(words), len(found)
    )
    sigma = shared / np.array([shape(word).area for word in words]).reshape(-1, 1)
    tau = shared / np.array([shape(one).area for one in found]).reshape(1, -1)
    covers = sigma >= rule.recall_threshold - 1e-6
    precise = tau >= rule.precision_threshold - 1e-6
    fits = covers & precise
    word_used, found_used = np.zeros(len(words), bool), np.zeros(len(found), bool)
    recall = precision = 0.0
    for w, d in product(range(len(words)), range(len(found))):
        if rule.pair_check == "both":
            one_to_one = fits[w, d] and fits[w].sum() == 1 and fits[:, d].sum() == 1
        else:
            one_to_one = covers[w, d] and covers[w].sum() == 1 and precise[w].sum() == 1
        if one_to_one and (rule.centre_distance is None or centre_ratio(words[w], found[d]) < rule.centre_distance):
            word_used[w] = found_used[d] = True
            recall += 1
            precision += 1
    for w in range(len(words)):
        pieces = np.nonzero(precise[w] & ~found_used & (shared[w] > 0))[0]
        enough = (shared[w] > 0).sum() >= rule.smallest_group
        if not word_used[w] and enough and len(pieces) and sigma[w, pieces].sum() >= rule.recall_threshold - 1e-6:
            score = 1.0 if len(pieces) == 1 and rule.smallest_group > 1 else rule.split_score
            word_used[w] = found_used[pieces] = True
            recall += score
            precision += score * len(pieces)
    least = (rule.merge_recall_threshold or rule.recall_threshold) - 1e-6
    for d in range(len(found)):
        covered = np.nonzero((sigma[:, d] >= least) & ~word_used)[0]
        enough = (shared[:, d] > 0).sum() >= rule.smallest_group
        if found_used[d] or not enough or not len(covered):
            continue
        if len(covered) == 1 and rule.smallest_group > 1:
            if fits[covered[0], d]:
                word_used[covered] = found_used[d] = True
                recall, precision = recall + 1, precision + 1
        elif tau[covered, d].sum() >= rule.precision_threshold - 1e-6:
            word_used[covered] = found_used[d] = True
            recall += rule.merge_score * len(covered)
            precision += rule.merge_score
    return recall, precision


def centre_ratio(word: TextInstance, found: Detection) -> float:
    one, other = np.array(shape(word).bounds).reshape(2, 2), np.array(shape(found).bounds).reshape(2, 2)
    diagonals = np.linalg.norm(one[1] - one[0]), np.linalg.norm(other[1] - other[0])
    return float(np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)) / np.mean(diagonals))
