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
    kept = detections
    if protocol.ignored == "neutral":
        regions = [shape(instance, protocol) for instance in instances if instance.ignore]
        kept = [found for found in detections if not any(lies_in(found, region, protocol) for region in regions)]
    if isinstance(protocol, DetEvalProtocol):
        word_counts = np.array([instance in words for instance in instances], dtype=bool)
        found_counts = np.array([found in kept for found in detections], dtype=bool)
        found, hits = deteval(instances, detections, word_counts, found_counts, protocol)
        return found, hits, len(words), len(kept)
    assert isinstance(protocol, IouProtocol)
    fits = fit_table(words, kept, protocol)
    count, hit_words = MATCHINGS[protocol.matching](fits, words, kept)
    counted = len(words)
    if protocol.ignored == "free":
        counted = sum(not word.ignore or index in hit_words for index, word in enumerate(words))
    return count, count, counted, len(kept)


def shape(item: Detection | TextInstance, protocol: Protocol | None = None) -> shapely.Geometry:
    assert item.polygon is not None
    if protocol is None or protocol.shape == "polygon":
        return shapely.Polygon(item.polygon)
    left, top, right, bottom = shapely.Polygon(item.polygon).bounds
    pixel = int(protocol.shape == "pixel_box")
    return shapely.box(left, top, right + pixel, bottom + pixel)


def lies_in(found: Detection, region: shapely.Geometry, protocol: Protocol) -> bool:
    outline = shape(found, protocol)
    return bool(outline.intersection(region).area / (outline.area + protocol.ignore_margin) > protocol.ignore_threshold)


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


def deteval(
    words: list[TextInstance],
    found: list[Detection],
    word_counts: np.ndarray,
    found_counts: np.ndarray,
    rule: DetEvalProtocol,
) -> tuple[float, float]:
    """Tables of recall (sigma) and precision (tau) over everything, and flags of what counts and of what is matched."""
    ours, theirs = [shape(word, rule) for word in words], [shape(one, rule) for one in found]
    shared = np.array([[w.intersection(d).area for d in theirs] for w in ours]).reshape(len(words), len(found))
    sigma = shared / np.array([w.area for w in ours]).reshape(-1, 1)
    tau = shared / np.array([d.area for d in theirs]).reshape(1, -1)
    if rule.share_decimals is not None:
        sigma, tau = sigma.round(rule.share_decimals), tau.round(rule.share_decimals)
    counted = np.outer(word_counts, found_counts)
    word_used, found_used = ~word_counts, ~found_counts
    recall = precision = 0.0
    for w, d in product(range(len(words)), range(len(found))):
        near = rule.centre_distance is None or centre_ratio(ours[w], theirs[d]) < rule.centre_distance
        if counted[w, d] and near and is_pair(w, d, sigma, tau, counted, rule):
            word_used[w] = found_used[d] = True
            recall, precision = recall + 1, precision + 1
    for w in np.nonzero(~word_used)[0]:
        pieces = np.nonzero((tau[w] >= rule.precision_threshold) & ~found_used & (shared[w] > 0))[0]
        enough = (counted[w] & (sigma[w] > 0)).sum() >= rule.smallest_group
        if enough and len(pieces) and total(sigma[w, pieces], rule) >= rule.recall_threshold:
            score = rule.lone_split_score if len(pieces) == 1 else rule.split_score
            word_used[w] = found_used[pieces] = True
            recall, precision = recall + score, precision + score * len(pieces)
    least = rule.merge_recall_threshold or rule.recall_threshold
    for d in np.nonzero(~found_used)[0]:
        covered = np.nonzero((sigma[:, d] >= least) & ~word_used)[0]
        enough = (counted[:, d] & (tau[:, d] > 0)).sum() >= rule.smallest_group
        if not enough or not len(covered) or total(tau[covered, d], rule) < rule.precision_threshold:
            continue
        if len(covered) == 1 and sigma[covered[0], d] < rule.recall_threshold:
            continue
        score = 1.0 if len(covered) == 1 else rule.merge_score
        word_used[covered] = found_used[d] = True
        recall, precision = recall + score * len(covered), precision + score
    return recall, precision


def is_pair(w: int, d: int, sigma: np.ndarray, tau: np.ndarray, counted: np.ndarray, rule: DetEvalProtocol) -> bool:
    t_r, t_p = rule.recall_threshold, rule.precision_threshold
    if rule.pair_check in ("alone", "untouched"):
        fits = (sigma >= t_r) & (tau >= t_p)
        alone = bool(fits[w, d]) and fits[w].sum() == 1 == fits[:, d].sum()
        touching = counted & (sigma > 0)
        return alone and (rule.pair_check == "alone" or touching[w].sum() == 1 == touching[:, d].sum())
    covers, precise = counted & (sigma > t_r), counted & (tau > t_p)
    if not (covers[w, d] and covers[w].sum() == 1 == precise[w].sum()):
        return False
    return rule.pair_check == "by_shares" or bool(covers[:, d].sum() == 1 == precise[:, precise[w].argmax()].sum())


def total(shares: np.ndarray, rule: DetEvalProtocol) -> float:
    added = 0.0
    for share in shares.tolist():
        added += share
    return added if rule.sum_decimals is None else round(added, rule.sum_decimals)


def centre_ratio(word: shapely.Geometry, found: shapely.Geometry) -> float:
    one, other = np.array(word.bounds).reshape(2, 2), np.array(found.bounds).reshape(2, 2)
    diagonals = np.linalg.norm(one[1] - one[0]), np.linalg.norm(other[1] - other[0])
    return float(np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)) / np.mean(diagonals))
