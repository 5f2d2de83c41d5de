"""Measures and counts what runs cost.

Prints tables of Markdown, and writes the metrics as JSON where asked to. Several runs, with `vs` between them, are
measured together, and the last columns give each as a ratio to the first: ratios hold where the machine is shared,
single metrics do not.
`scenetext benchmark WHAT --help` explains each kind of measurement.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenetext.errors import ConfigError
from scenetext.resources import resource_folder

if TYPE_CHECKING:
    import torch

    from scenetext.benchmark.measurements import Measurement
    from scenetext.benchmark.reading import Found
    from scenetext.runs.settings import DetectionRun, Run
    from scenetext.tasks.detection import DetectionTask
    from scenetext.training.trainer import Trainer

EXAMPLES = """\
  scenetext benchmark run oclip words tiny loader.batch_size=64
  scenetext benchmark run dbnet scenes tiny vs pan scenes tiny
  scenetext benchmark gpu --minutes 10 --output outputs/h100
  scenetext benchmark preparation oclip words data.train=[data/icdar2015/train.jsonl] vs dbnet icdar2015 scratch
  scenetext benchmark overhead oclip words tiny --repetitions 50
  scenetext benchmark detection dbnet icdar2015 resnet50 vs pan icdar2015 resnet18 --images 30
  scenetext benchmark pace dbnet icdar2015 scratch vs dbnet icdar2015 tcm --set training.precision=fp32
  scenetext benchmark reading outputs/reader/best.pt --records data/icdar2015/val.jsonl --engine rapidocr
  scenetext benchmark inference dbnet icdar2015 resnet18 --size 736 1312
  scenetext benchmark size dbnet icdar2015 fasttcm --size 640
"""
Report = tuple[str, dict[str, Any]]
"""What to print, and the same as plain data."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    text = "training step and each of its parts, evaluation, preparation of images, memory, operations"
    manner = "Uses the run's own data and settings; runs are measured one after the other."
    add_command(commands, "run", measure_runs, text, manner)
    text = "images a second that one core prepares for training, beside the preparation of the published oCLIP code"
    add_command(commands, "preparation", measure_preparation, text, "In alternation, image by image.")
    text = "what the training loop costs beside a bare one, and how long it waits for data"
    add_command(commands, "overhead", measure_overheads, text, "Steps of both in alternation, on the same batch.")
    add_detector_commands(commands)
    add_reading_command(commands)
    add_gpu_command(commands)


def add_detector_commands(commands: Any) -> None:
    """What is measured of detectors alone."""
    text = "what a detector costs outside of its training step: targets, samples, forward, decoding, hmean"
    manner = (
        "In alternation, round by round. Weights are random, and what is decoded are softened perfect maps "
        "(examples.py). Times are CPU time of one thread."
    )
    command = add_command(commands, "detection", measure_detectors, text, manner)
    command.add_argument("--images", type=positive, default=30, help="images of either kind, the first of the data")

    text = "speeds of detectors side by side, in evaluation (without decoding) and training, on noise"
    manner = "In alternation, round by round. No data and no weights are read."
    command = add_command(commands, "pace", compare_pace, text, manner)
    command.add_argument("--size", type=positive, default=640, help="side of the images, pixels")
    command.add_argument("--images", type=positive, default=2, help="images of a training step")
    command.add_argument("--training-repetitions", type=int, default=3, help="rounds of training steps; 0 = none")
    add_clock_argument(command)

    text = "one detector's network on this CPU in every way: PyTorch as trained, folded, in bf16, ONNX Runtime, int8"
    manner = "In alternation, round by round, on noise. No data and no weights are read."
    command = add_command(commands, "inference", measure_inference, text, manner)
    command.add_argument(
        "--size", type=positive, nargs=2, default=[736, 1312], metavar=("HEIGHT", "WIDTH"), help="multiples of 32"
    )
    add_clock_argument(command)

    text = "parameters and operations of detectors"
    command = add_command(commands, "size", count_sizes, text, "Counted; no data and no weights are read.")
    command.add_argument("--size", type=positive, default=640, help="side of the image, pixels; a multiple of 32")


def add_reading_command(commands: Any) -> None:
    """What trained detectors and readers cost, part by part, and an OCR engine beside them."""
    text = "what an image costs trained detectors and readers, part by part, and what they find"
    command = commands.add_parser("reading", help=text, description=f"Measures {text}, one real image at a time.")
    command.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT", help="best.pt of scenetext train")
    command.add_argument("--records", type=Path, required=True, nargs="+", help="record files of the images")
    command.add_argument("--images", type=positive, default=30, help="how many, the first ones")
    command.add_argument("--engine", choices=["rapidocr"], help="an OCR engine to measure beside them")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    add_clock_argument(command)
    command.add_argument("--set", nargs="+", default=[], metavar="key=value", help="settings of all runs to change")
    command.add_argument("--json", type=Path, metavar="FILE", help="also write the metrics here")
    command.set_defaults(function=measure_reading)


def add_clock_argument(command: argparse.ArgumentParser) -> None:
    """What times are of."""
    text = "processor: time that threads are busy, for a machine that others keep busy (best with OMP_NUM_THREADS=1)"
    command.add_argument("--clock", choices=("wall", "processor"), default="wall", help=text)


def add_gpu_command(commands: Any) -> None:
    """Everything about one card; it needs no config."""
    text = "one card: pre-training, detectors and TCM against the rate of its own matrix products"
    manner = (
        "Every result is written as soon as it is there; a second call with the same folder runs what is not done. "
        "On a CPU all sizes are tiny, and say nothing."
    )
    command = commands.add_parser("gpu", help=text, description=f"Measures {text}. {manner}")
    command.add_argument("--output", type=Path, default=Path("outputs/gpu_benchmark"), help="folder of the results")
    command.add_argument("--minutes", type=float, default=15.0, help="when to stop, between stages and within them")
    command.add_argument("--data", type=Path, metavar="RECORDS", help="what the loader reads; default: new scenes")
    command.add_argument("--fonts", type=Path, metavar="FOLDER", help="of the scenes; default: the system's")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    command.add_argument("--tiny", action="store_true", help="tiny sizes on a GPU, too")
    command.set_defaults(function=measure_card, json=None)

    text = "some minutes with a GPU: tests, this benchmark, two short trainings (scripts/gpu.sh)"
    manner = "Every stage has a limit of its own, and a second call with the same folder runs what is not done."
    command = commands.add_parser("session", help=text, description=f"Uses {text}. {manner}")
    command.add_argument("--output", type=Path, default=Path("outputs/gpu"), help="folder of everything that is made")
    command.add_argument("--minutes", type=float, default=9.0, help="that everything may take")
    text = "the detector trains on, measured on --validation; default: generated scenes"
    command.add_argument("--data", type=Path, nargs="+", default=[], metavar="RECORDS", help=f"what {text}")
    command.add_argument("--validation", type=Path, nargs="+", default=[], metavar="RECORDS", help="see --data")
    command.add_argument("--fonts", type=Path, metavar="FOLDER", help="of the scenes; default: the system's")
    command.add_argument("--only", nargs="+", metavar="STAGE", help="some of the stages, by the names of their results")
    command.add_argument("--rehearse", action="store_true", help="dry run: everything at tiny size on the CPU")
    command.set_defaults(function=use_session, json=None)


def add_command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], Report], text: str, manner: str
) -> argparse.ArgumentParser:
    """A kind of measurement, with the flags that all have."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"Measures {text}. {manner}")
    command.add_argument(
        "words", nargs="+", metavar="WORD", help="configs, YAML files and settings of a run; `vs` between runs"
    )
    command.add_argument("--set", nargs="+", default=[], metavar="key=value", help="settings to change in all runs")
    command.add_argument("--repetitions", type=positive, default=10, help="samples of every metric")
    command.add_argument("--json", type=Path, metavar="FILE", help="also write the metrics here")
    command.set_defaults(function=function)
    return command


def positive(text: str) -> int:
    """An integer from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {value}")
    return value


def run(arguments: argparse.Namespace) -> None:
    text, content = arguments.function(arguments)
    print(text)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(f"JSON: {arguments.json}")


def named_runs(arguments: argparse.Namespace) -> dict[str, Run]:
    """The runs of a command by their words."""
    from scenetext.runs.settings import load_run

    groups = [list(words) for is_vs, words in groupby(arguments.words, "vs".__eq__) if not is_vs]
    runs = {" ".join(map(short, words)): load_run([*words, *arguments.set]) for words in groups}
    if len(runs) < len(groups):
        raise ConfigError(f"two runs are named alike: {', '.join(runs)}; give one a setting that says what differs")
    return runs


def short(word: str) -> str:
    """A word as it names a run: of the path of a YAML file, its stem."""
    from scenetext.config import is_setting, is_yaml_path

    return word if is_setting(word) or not is_yaml_path(word) else Path(word).stem


def named_detectors(arguments: argparse.Namespace) -> dict[str, DetectionRun[Any, Any]]:
    """As `named_runs`, of detectors alone."""
    from scenetext.runs.settings import DetectionRun

    runs = named_runs(arguments)
    detectors = {name: run for name, run in runs.items() if isinstance(run, DetectionRun)}
    if len(detectors) < len(runs):
        raise ConfigError(f"{arguments.what} is about detectors: {', '.join(runs.keys() - detectors.keys())} is none")
    return detectors


@contextmanager
def built(run: Run) -> Iterator[Trainer]:
    """The trainer of a run, of which nothing is kept."""
    from scenetext.runs.build import build_trainer

    with tempfile.TemporaryDirectory() as folder:
        yield build_trainer(run, Path(folder))[0]


def measure_runs(arguments: argparse.Namespace) -> Report:
    from scenetext.benchmark.run import measure

    columns = {}
    for name, run in named_runs(arguments).items():
        with built(run) as trainer:
            columns[name] = measure(trainer, arguments.repetitions)
    return report(columns)


def measure_preparation(arguments: argparse.Namespace) -> Report:
    from scenetext.benchmark.preparation import time_preparation

    columns = {}
    for name, run in named_runs(arguments).items():
        with built(run) as trainer:
            columns[name] = time_preparation(trainer.training_data, arguments.repetitions)
    return report(columns)


def measure_overheads(arguments: argparse.Namespace) -> Report:
    from scenetext.benchmark.overhead import measure_overhead, time_waiting

    columns = {}
    for name, run in named_runs(arguments).items():
        with built(run) as trainer:
            metrics = measure_overhead(trainer, arguments.repetitions)
            columns[name] = [*metrics, time_waiting(trainer, arguments.repetitions)]
    return report(columns)


def measure_detectors(arguments: argparse.Namespace) -> Report:
    from scenetext.benchmark.detection import measure_in_alternation

    return report(measure_in_alternation(named_detectors(arguments), arguments.images, arguments.repetitions))


def measure_reading(arguments: argparse.Namespace) -> Report:
    from scenetext.benchmark.reading import scored, time_reading
    from scenetext.runs.data import read_all_records
    from scenetext.runs.kinds import DETECTION
    from scenetext.runs.load import load_trained_task
    from scenetext.training.device import resolve_device

    clock = time.perf_counter if arguments.clock == "wall" else time.process_time
    device = resolve_device(arguments.device)
    records = read_all_records(arguments.records, "benchmark")[: arguments.images]
    columns = {}
    for checkpoint in arguments.checkpoints:
        task, run, _ = load_trained_task(checkpoint, DETECTION, arguments.set)
        name = f"{run.detector.name}{' with reader' if run.reader is not None else ''}, {checkpoint.parent.name}"
        metrics, found = time_reading(task.to(device), records, device, clock)
        columns[name] = [*metrics, *scored(records, found)]
    if arguments.engine is not None:
        metrics, found = time_engine([record.path for record in records], clock)
        columns[arguments.engine] = [*metrics, *scored(records, found)]
    return report(columns)


def time_engine(images: Sequence[Path], clock: Callable[[], float]) -> tuple[list[Measurement], Found]:
    """Milliseconds of an OCR engine for an image, and the words that it finds (`scenetext acquire --word-boxes`)."""
    from scenetext.acquisition.rapidocr_engine import RapidOcrEngine
    from scenetext.benchmark.measurements import milliseconds
    from scenetext.benchmark.reading import TOTAL
    from scenetext.structures import Detection

    engine = RapidOcrEngine(word_boxes=True)
    engine.recognize(images[0])
    seconds, found = [], {}
    for image in images:
        began = clock()
        texts = engine.recognize(image)
        seconds.append(clock() - began)
        found[image] = [
            Detection(one.polygon, one.confidence, one.text, one.confidence) for one in texts if one.polygon is not None
        ]
    return [milliseconds(TOTAL, seconds)], found


def measure_inference(arguments: argparse.Namespace) -> Report:
    from scenetext.benchmark.inference import compare_ways, ways_table
    from scenetext.benchmark.measurements import timed
    from scenetext.benchmark.pace import processor_seconds
    from scenetext.commands.inference_ways import ways_of

    clock = timed if arguments.clock == "wall" else processor_seconds
    height, width = arguments.size
    tables, content = [], {}
    for name, run in named_detectors(arguments).items():
        with tempfile.TemporaryDirectory() as folder:
            ways = compare_ways(ways_of(run, Path(folder)), (height, width), arguments.repetitions, clock)
        tables.append(f"{name}, {height} x {width}, {arguments.clock} clock\n\n{ways_table(ways)}")
        content[name] = {way: [asdict(metric) for metric in metrics] for way, metrics in ways.items()}
    return "\n\n".join(tables), content


def count_sizes(arguments: argparse.Namespace) -> Report:
    from scenetext.benchmark.run import count_detector

    side = arguments.size
    return report({name: count_detector(run, side, side) for name, run in named_detectors(arguments).items()})


def measure_card(arguments: argparse.Namespace) -> Report:
    from scenetext.benchmark.gpu import TINY, GpuBenchmark, Sizes
    from scenetext.benchmark.stages import PAGE_NAME, Stage, StageRunner
    from scenetext.scenes.writing import RECORDS_NAME
    from scenetext.training.device import resolve_device

    began = time.monotonic()
    device = resolve_device(arguments.device)
    sizes = TINY if arguments.tiny or device.type == "cpu" else Sizes()
    scenes = arguments.output / "scenes"
    benchmark = GpuBenchmark(device, sizes, arguments.output, arguments.data or scenes / RECORDS_NAME)
    stages = benchmark.stages()
    if arguments.data is None:
        config, count = ("single_word", 8) if sizes.tiny else ("street", 1000)
        make = partial(make_scenes, config, scenes, count, arguments.fonts)
        position = [stage.name for stage in stages].index("waiting")
        stages.insert(position, Stage("scenes", f"{count} scenes", 60, make))
    runner = StageRunner(
        arguments.output,
        benchmark.subject(),
        began + 60 * arguments.minutes,
        benchmark.page,
        lambda line: print(line, flush=True),
        benchmark.clean,
    )
    results = runner.run(stages)
    content = {name: asdict(result) for name, result in results.items()}
    return (arguments.output / PAGE_NAME).read_text(encoding="utf-8"), content


def use_session(arguments: argparse.Namespace) -> Report:
    from scenetext.benchmark.gpu_session import Session
    from scenetext.benchmark.stages import PAGE_NAME, StageRunner

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that commands are ended with it
    deadline = time.monotonic() + 60 * arguments.minutes
    session = Session(
        Path(__file__).resolve().parents[3],
        arguments.output.resolve(),
        lambda: deadline - time.monotonic(),
        tuple(arguments.data),
        tuple(arguments.validation),
        arguments.fonts,
        arguments.rehearse,
    )
    stages = session.stages()
    unknown = set(arguments.only or ()) - {stage.name for stage in stages}
    if unknown:
        raise ConfigError(f"--only {' '.join(unknown)}: the stages are {', '.join(stage.name for stage in stages)}")
    log = partial(print, flush=True)
    subject = "at tiny size on the CPU" if arguments.rehearse else "on a GPU"
    runner = StageRunner(session.output, subject, deadline, session.page, log)
    results = runner.run(stages, arguments.only)
    return (session.output / PAGE_NAME).read_text(encoding="utf-8"), {n: asdict(one) for n, one in results.items()}


def make_scenes(config: str, folder: Path, count: int, fonts: Path | None, seconds: float) -> dict[str, Any]:
    """Generated scenes for the loader to read."""
    from scenetext.benchmark.stages import within
    from scenetext.config import load_settings
    from scenetext.data.loading.loader import default_workers
    from scenetext.scenes import SceneGenerator, SceneSettings
    from scenetext.scenes.fonts import load_fonts
    from scenetext.scenes.words import read_words
    from scenetext.scenes.writing import generate

    settings = load_settings(SceneSettings, resource_folder("configs") / "scenes" / f"{config}.yaml")
    words = read_words(resource_folder("words") / "english.txt")
    scenes = SceneGenerator(settings, 0, load_fonts(fonts).fonts, words)
    with within(seconds):
        made = generate(scenes, folder, count, default_workers(), overwrite=True)
    return {"images": made.images, "seconds": made.seconds}


def compare_pace(arguments: argparse.Namespace) -> Report:
    import torch

    from scenetext.benchmark.measurements import timed
    from scenetext.benchmark.pace import (
        evaluation_pace,
        evaluation_pace_table,
        processor_seconds,
        training_pace,
        training_pace_table,
    )
    from scenetext.training.device import autocast_to, resolve_device, resolve_precision

    runs = named_detectors(arguments)
    settings = next(iter(runs.values())).training
    device = resolve_device(settings.device)
    precision = resolve_precision(settings.precision, device)
    tasks = {name: detector_on(run, device) for name, run in runs.items()}
    clock = timed if arguments.clock == "wall" else processor_seconds
    autocast = partial(autocast_to, precision, device)
    size, threads = (arguments.size, arguments.size), torch.get_num_threads()
    what = f"images of {size[0]} x {size[1]} pixels"
    text = f"{device}, {precision}, {threads} threads, {arguments.clock} clock, {what}\n\n"
    paces = evaluation_pace(tasks, size, arguments.repetitions, device, autocast, clock)
    text, content = text + evaluation_pace_table(paces), {"evaluation": list(map(asdict, paces))}
    if arguments.training_repetitions > 0:
        rounds, images = arguments.training_repetitions, arguments.images
        paces = training_pace(tasks, size, images, rounds, device, autocast, clock)
        text += f"\n\n{training_pace_table(paces, images)}"
        content["training"] = list(map(asdict, paces))
    return text, content


def detector_on(run: DetectionRun[Any, Any], device: torch.device) -> DetectionTask:
    """A detector with random weights, compiled where the run says so."""
    import torch

    from scenetext.runs.build import build_task
    from scenetext.tasks.detection import DetectionTask

    task = build_task(run)
    if not isinstance(task, DetectionTask):
        raise TypeError("a run of kind detection builds a DetectionTask")
    task.to(device).to(memory_format=torch.channels_last)
    for part in task.compiled_parts() if run.training.compile else ():
        part.compile()
    return task


def report(columns: dict[str, list[Measurement]]) -> Report:
    from scenetext.benchmark.measurements import metric_table

    return metric_table(columns), {name: [asdict(metric) for metric in metrics] for name, metrics in columns.items()}
