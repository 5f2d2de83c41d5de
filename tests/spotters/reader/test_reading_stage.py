"""A detector with the reader: the detector is as before, and what it finds is read."""

from __future__ import annotations

import pickle
import string

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detector_subjects import Subject, make_subject
from scenetext.data.loading.dataset import collate
from scenetext.data.transforms.evaluation import EvaluationTransformSettings
from scenetext.data.transforms.training import TrainingTransformSettings
from scenetext.errors import ConfigError
from scenetext.layers.stages import IMAGE
from scenetext.runs.settings import check_run
from scenetext.spotters.reader import ReaderSettings, with_reader
from scenetext.spotters.reader.model import WordReader
from scenetext.spotters.reader.places import annotated_place
from scenetext.spotters.reader.stage import STAGE
from scenetext.structures import Features, TextInstance
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.evaluation_settings import EvaluationSettings
from scenetext.text.charset import CharacterSet
from text_samples import make_sample, word

ALPHABET = CharacterSet(string.digits + string.ascii_lowercase)
SETTINGS = ReaderSettings(channels=4)
ATTENTION = ReaderSettings(
    name="attention", channels=4, attention={"size": (2, 8), "channels": 8, "steps": 18, "beams": 2}
)
SIZE = (96, 160)
FIRST = np.array([(10, 10), (90, 10), (90, 40), (10, 40)], np.float32)
SECOND = np.array([(20, 55), (140, 55), (140, 88), (20, 88)], np.float32)
TEXTS = [TextInstance(FIRST, "Exit2"), TextInstance(SECOND, "café"), word(SECOND + np.float32(4), ignore=True)]


def subject(name: str = "dbnet", settings: ReaderSettings = SETTINGS) -> Subject:
    alone = make_subject(name)
    return Subject(with_reader(alone.spec, settings, ALPHABET), alone.config, alone.examples)


def features(images: int) -> Features:
    generator = torch.Generator().manual_seed(0)
    levels = tuple(torch.randn(images, 8, SIZE[0] // s, SIZE[1] // s, generator=generator) for s in (4, 8, 16, 32))
    return Features(levels, {IMAGE: torch.randn(images, 3, *SIZE, generator=generator)})


def losses(one: Subject, network: nn.Module, targets: dict[str, Tensor], images: int) -> dict[str, Tensor]:
    return one.spec.loss(one.maps(network, features(images), targets), targets, one.config)


def test_the_detector_does_not_notice_the_reader() -> None:
    """Equal losses and detections, and no gradient of the reading term in it."""
    alone, both = make_subject("dbnet"), subject()
    samples = [make_sample(TEXTS, SIZE), make_sample([], SIZE)]
    network, reading = alone.head(), both.head()
    reading.load_state_dict(network.state_dict(), strict=False)
    targets = both.targets(samples)
    terms = losses(both, reading, targets, 2)
    expected = losses(alone, network, alone.targets(samples), 2)
    assert {name: terms[name].item() for name in expected} == {name: each.item() for name, each in expected.items()}
    terms[STAGE].backward()
    for name, parameter in reading.named_parameters():
        assert (parameter.grad is not None and bool(parameter.grad.any())) == name.startswith(f"later.{STAGE}."), name


def test_behind_a_frozen_detector_only_the_reader_is_run_and_learns() -> None:
    alone = make_subject("dbnet")
    spec = with_reader(alone.spec, SETTINGS.model_copy(update={"freeze_detector": True}), ALPHABET)
    task = DetectionTask(
        Unused(),
        spec,
        alone.config,
        TrainingTransformSettings(size=(96, 96), horizontal_flip=0),
        EvaluationTransformSettings(),
        EvaluationSettings(protocol="ic15_end_to_end"),
    )
    weights = {name: value.clone() for name, value in task.state_dict().items()}
    prepared = [task.prepare_training(make_sample(TEXTS[:1], SIZE), np.random.default_rng(0)) for _ in range(2)]
    assert all(name.startswith((STAGE, "seed")) for name in prepared[0].targets)
    losses = task.train()(collate(prepared))
    assert list(losses) == [STAGE]
    losses[STAGE].backward()
    for name, parameter in task.named_parameters():
        assert (parameter.grad is not None) == name.startswith(f"head.later.{STAGE}."), name
    changed = {name for name, value in task.state_dict().items() if not torch.equal(value, weights[name])}
    assert all(name.startswith(f"head.later.{STAGE}.") for name in changed), "no statistics of the detector"
    with pytest.raises(AssertionError, match="evaluation needs the encoder"):
        task.eval().maps(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


class Unused(nn.Module):
    """An encoder that may not be asked in training."""

    channels, strides = (8, 8, 8, 8), (4, 8, 16, 32)
    pixel_mean = pixel_std = (0.5, 0.5, 0.5)

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3)

    def forward(self, _: Tensor) -> Features:
        raise AssertionError("evaluation needs the encoder, training does not")


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param([], id="no text"),
        pytest.param([TextInstance(FIRST, None)], id="unknown text"),
        pytest.param([TextInstance(FIRST, "")], id="empty text"),
        pytest.param([TextInstance(FIRST, "café")], id="another alphabet"),
        pytest.param([TextInstance(FIRST, "x" * 500)], id="too long"),
        pytest.param([TextInstance(None, "word")], id="without polygon"),
        pytest.param([TextInstance(FIRST + np.float32(900), "outside")], id="outside"),
        pytest.param([TextInstance(np.repeat(FIRST[:1], 4, axis=0), "point")], id="a point"),
        pytest.param([TextInstance(FIRST[[0, 2, 1, 3]], "crossing")], id="crossing itself"),
        pytest.param([TextInstance(FIRST[::-1], "backwards")], id="anticlockwise"),
        pytest.param([TextInstance(FIRST, "word", ignore=True)], id="ignored"),
    ],
)
@pytest.mark.parametrize("settings", [SETTINGS, ATTENTION], ids=["ctc", "attention"])
def test_odd_texts_give_finite_losses_and_gradients(texts: list[TextInstance], settings: ReaderSettings) -> None:
    one = subject(settings=settings)
    network = one.head()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = losses(one, network, one.targets([make_sample(texts, SIZE)] * 2), 2)
    assert all(term.isfinite() and term.dtype == torch.float32 for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in network.parameters())


@pytest.mark.parametrize("settings", [SETTINGS, ATTENTION], ids=["ctc", "attention"])
@pytest.mark.parametrize("name", ["dbnet", "psenet"])
def test_what_is_detected_is_read(name: str, settings: ReaderSettings) -> None:
    one = subject(name, settings)
    sample, empty = make_sample(TEXTS[:1], SIZE), make_sample([], SIZE)
    perfect = one.perfect_maps(one.targets([sample, empty]))
    head = one.head().eval()
    found = one.spec.decode(
        one.maps(Given(perfect, head), features(2), None),
        one.config,
    )
    assert [len(each) for each in found] == [1, 0]
    (detection,) = found[0]
    (plain,) = make_subject(name).spec.decode(perfect, one.config)[0]
    assert np.array_equal(detection.polygon, plain.polygon)
    assert detection.score == pytest.approx(plain.score)
    assert detection.text is not None
    assert detection.text_score is not None
    assert 0 <= detection.text_score <= 1
    assert detection.character_probabilities is not None
    assert detection.character_probabilities.shape == (len(detection.text), len(ALPHABET))


class Given(nn.Module):
    """A head that gives known maps, with the reader of another."""

    def __init__(self, maps: object, head: nn.Module) -> None:
        super().__init__()
        self.maps = maps
        self.later = head.later

    def forward(self, _: Features) -> object:
        return self.maps


def test_decoding_travels_to_other_processes() -> None:
    one = subject()
    maps = one.maps(one.head().eval(), features(2), None)
    there = pickle.loads(pickle.dumps(one.spec.decode))(maps, one.config)
    here = one.spec.decode(maps, one.config)
    texts = [[(each.text, each.text_score) for each in image] for image in here]
    assert [[(each.text, each.text_score) for each in image] for image in there] == texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Ab2", "ab2"), ("café", None), ("", None), ("x" * 16, "x" * 16), ("x" * 17, None), ("ab" * 16, "ab" * 16)],
)
def test_texts_are_folded_and_must_fit(text: str, expected: str | None) -> None:
    """32 columns; between equal neighbours one is needed for a blank."""
    readable = SETTINGS.readable(ALPHABET)
    ids = readable.ids(text)
    assert (ids and "".join(map(ALPHABET.decode, ids))) == expected
    assert (readable.why_unread(TextInstance(FIRST, text)) is None) is (expected is not None)


@pytest.mark.parametrize("mirrored", [{"transform": {"horizontal_flip": 0.5}}, {"evaluation": {"flip": True}}])
def test_mirrored_images_are_refused(mirrored: dict[str, object]) -> None:
    values = {
        "kind": "detection",
        "encoder": {"name": "clip_resnet"},
        "detector": {"name": "dbnet"},
        "reader": {"name": "ctc"},
        "transform": {"horizontal_flip": 0},
        "data": {"train": ["a.jsonl"], "validation": ["a.jsonl"]},
        "training": {"steps": 1, "evaluate_every": 1},
    }
    assert check_run(values, "test").reader is not None
    with pytest.raises(ConfigError, match="a reader cannot read mirrored images"):
        check_run({**values, **mirrored}, "test")


def drawn_words(count: int, length: int) -> tuple[list[str], Tensor]:
    """Random words and their images (count, 3, 32, 128), in [0, 1]."""
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list(ALPHABET.characters), length)) for _ in range(count)]
    images = np.full((count, 3, 32, 128), 80, np.uint8)
    for image, text in zip(images, words, strict=True):
        image[:] = cv2.putText(image[0].copy(), text, (16, 25), cv2.FONT_HERSHEY_SIMPLEX, 1, 220, 2)
    return words, torch.from_numpy(images).float() / 255


def overfitted(settings: ReaderSettings, words: list[str], images: Tensor, steps: int) -> list[str]:
    """What a reader reads of whole images that it has learnt."""
    torch.manual_seed(0)
    reader, recognizer = WordReader(settings, len(ALPHABET)), settings.recognizer(ALPHABET)
    place = torch.from_numpy(annotated_place(np.array([(0, 0), (128, 0), (128, 32), (0, 32)], np.float32)))
    valid = torch.ones(len(words), 1, dtype=torch.bool)
    proposals = {"place": place[None, None].expand(len(words), 1, -1, -1, -1), "valid": valid}
    ids = torch.tensor([ALPHABET.encode(text) for text in words])
    lengths = torch.full((len(words),), len(words[0]))
    learnt = {name: each[:, None] for name, each in recognizer.targets(ids, lengths).items()}
    maps = {"features_image": images}
    optimizer = torch.optim.AdamW(reader.parameters(), lr=5e-3)
    for _ in range(steps):
        loss = recognizer.loss({**learnt, **reader(maps, {**proposals, **learnt})}, valid)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = {name: each[:, 0].numpy() for name, each in reader.eval()(maps, proposals).items()}
    read = [recognizer.read({name: found[name][row] for name in recognizer.outputs}) for row in range(len(words))]
    return ["".join(map(ALPHABET.decode, each.ids)) for each in read]


@pytest.mark.slow
def test_thirty_two_words_are_overfitted() -> None:
    """Drawn words of four characters are read without a mistake."""
    words, images = drawn_words(32, 4)
    assert overfitted(ReaderSettings(channels=8), words, images, 150) == words


def test_attention_behind_any_detector_overfits_a_few_words() -> None:
    words, images = drawn_words(4, 3)
    attention = {"size": (2, 8), "channels": 24, "steps": 6, "beams": 2}
    settings = ReaderSettings(name="attention", channels=4, attention=attention)
    assert overfitted(settings, words, images, 60) == words
