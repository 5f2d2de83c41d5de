from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden import golden_json
from scenetext.config import validate
from scenetext.errors import ConfigError
from scenetext.training.schedules import ScheduleSettings, check_length, learning_rate_factor


def test_cosine_schedule_equals_the_published_one() -> None:
    golden = golden_json("oclip", "tiny_optimizer.json")["schedule"]
    assert golden
    for setting in golden.values():
        schedule = ScheduleSettings(name="cosine", warmup_steps=setting["warmup"])
        for step, expected in setting["lr"].items():
            factor = learning_rate_factor(int(step), _total_steps(golden, setting), schedule)
            assert setting["base_lr"] * factor == pytest.approx(expected, rel=1e-9, abs=1e-22)


def _total_steps(golden: dict, setting: dict) -> int:
    name = next(name for name, value in golden.items() if value is setting)
    return int(name.rsplit("total", 1)[1])


def test_polynomial_schedule_by_hand() -> None:
    schedule = ScheduleSettings(name="polynomial", warmup_steps=2, power=2)
    factors = [learning_rate_factor(step, 6, schedule) for step in range(6)]
    assert factors == pytest.approx([0.5, 1.0, 1.0, 0.75**2, 0.5**2, 0.25**2])


def test_minimum_is_where_the_curve_ends_not_where_it_is_cut() -> None:
    schedule = ScheduleSettings(name="polynomial", power=1, minimum_factor=0.2)
    assert [learning_rate_factor(step, 4, schedule) for step in range(4)] == pytest.approx([1.0, 0.8, 0.6, 0.4])


def test_multi_step_schedule_by_hand() -> None:
    schedule = ScheduleSettings(name="multi_step", milestone_steps=(2, 4), gamma=0.5, warmup_steps=1)
    assert [learning_rate_factor(step, 6, schedule) for step in range(6)] == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    bounded = schedule.model_copy(update={"minimum_factor": 0.4})
    assert learning_rate_factor(5, 6, bounded) == 0.4


def test_constant_schedule_and_run_shorter_than_its_warmup() -> None:
    assert learning_rate_factor(99, 100, ScheduleSettings(name="constant")) == 1.0
    assert learning_rate_factor(3, 4, ScheduleSettings(warmup_steps=8)) == 0.5


def test_warmup_rises_from_its_start_factor() -> None:
    schedule = ScheduleSettings(name="constant", warmup_steps=4, warmup_start_factor=0.2)
    assert [learning_rate_factor(step, 9, schedule) for step in range(5)] == pytest.approx([0.4, 0.6, 0.8, 1.0, 1.0])


def test_epochs_are_steps_of_this_data_and_batch() -> None:
    """1000 images in batches of 16 are 62.5 steps: 2 epochs end at 125, 4 at 250, 6 at 375."""
    by_epoch = ScheduleSettings(name="multi_step", warmup_epochs=2, milestone_epochs=(4, 6))
    by_step = ScheduleSettings(name="multi_step", warmup_steps=125, milestone_steps=(250, 375))
    for step in range(500):
        assert learning_rate_factor(step, 500, by_epoch, 62.5) == learning_rate_factor(step, 500, by_step)
    with pytest.raises(ValueError, match="steps_per_epoch"):
        learning_rate_factor(0, 500, by_epoch)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"warmup_steps": 5, "warmup_epochs": 1}, "warmup_steps and warmup_epochs are both given"),
        ({"name": "multi_step"}, "needs one of them"),
        ({"milestone_steps": [5]}, "belong to name: multi_step"),
        ({"name": "multi_step", "milestone_steps": [5], "milestone_epochs": [1]}, "milestone_epochs are both given"),
        ({"name": "multi_step", "milestone_epochs": [20, 20]}, "must ascend"),
        ({"minimum_factor": 1.5}, "minimum_factor"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(content: dict, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        validate(ScheduleSettings, content, "run.yaml")


@st.composite
def schedules(draw: st.DrawFn) -> tuple[ScheduleSettings, int]:
    """Settings, and the length of a run that is longer than their warm-up."""
    total = draw(st.integers(10, 300))
    name = draw(st.sampled_from(["cosine", "polynomial", "multi_step", "constant"]))
    share = st.floats(0, 1)
    milestones = draw(st.lists(st.integers(1, 300), unique=True, min_size=1).map(sorted))
    settings = ScheduleSettings(
        name=name,
        warmup_steps=draw(st.integers(0, total // 2)),
        warmup_start_factor=draw(share),
        minimum_factor=draw(share),
        power=draw(st.floats(0.3, 3)),
        milestone_steps=tuple(milestones) if name == "multi_step" else (),
        gamma=draw(st.floats(0.01, 1)),
    )
    return settings, total


@given(schedules())
def test_factor_rises_to_the_peak_then_falls_within_its_bounds(drawn: tuple[ScheduleSettings, int]) -> None:
    settings, total = drawn
    warmup = settings.warmup_steps
    factors = [learning_rate_factor(step, total, settings) for step in range(total)]
    rising, falling = factors[:warmup], factors[warmup:]
    assert rising == sorted(rising)
    assert all(earlier >= later for earlier, later in itertools.pairwise(falling))
    assert all(settings.warmup_start_factor - 1e-12 <= each <= 1 + 1e-12 for each in rising)
    assert all(settings.minimum_factor - 1e-12 <= each <= 1 + 1e-12 for each in falling)
    if warmup:
        assert rising[-1] == pytest.approx(1)
    if settings.name != "multi_step":
        assert falling[0] == pytest.approx(1), "the curve begins where the warm-up ends"


@given(st.integers(2, 400), st.floats(0, 0.9), st.sampled_from(["cosine", "polynomial"]))
def test_curves_end_near_their_minimum(total: int, minimum: float, name: str) -> None:
    """The last step is one before the end of the curve; its distance goes to zero with the length of the run."""
    settings = ScheduleSettings(name=name, minimum_factor=minimum, power=1)
    last = learning_rate_factor(total - 1, total, settings)
    assert minimum <= last <= minimum + 2 / total


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (ScheduleSettings(warmup_steps=20), "schedule.warmup_steps: the warm-up of 20 steps"),
        (ScheduleSettings(warmup_epochs=3), "schedule.warmup_epochs: the warm-up of 30 steps"),
    ],
)
def test_a_warmup_as_long_as_the_run_is_refused(settings: ScheduleSettings, key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key} is not shorter than the run of 20 steps"):
        check_length(settings, total_steps=20, steps_per_epoch=10)
    assert check_length(settings, total_steps=31, steps_per_epoch=10) == []


def test_milestones_behind_the_end_are_a_remark() -> None:
    settings = ScheduleSettings(name="multi_step", milestone_epochs=(1, 2, 4))
    assert check_length(settings, 20, 10) == [
        "warning: the run of 20 steps ends before milestones of its schedule: [20, 40]"
    ]
