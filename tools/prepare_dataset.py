"""A public dataset, as downloaded, to our record format (JSON lines)."""

from __future__ import annotations

from pathlib import Path

from scenetext.command_line import command_parser, run_command
from scenetext.data.readers import READERS
from scenetext.data.records import dataset_summary, write_records

EXAMPLES = """  python tools/prepare_dataset.py icdar2015 --images ch4_training_images \\
      --ground-truths ch4_training_localization_transcription_gt --output data/icdar2015/train.jsonl"""


def main() -> None:
    """Reads the dataset, writes its records and tells what is in it."""
    parser = command_parser("Prepares a dataset: reads its ground truth, writes one JSON line per image.", EXAMPLES)
    parser.add_argument("dataset", choices=sorted(READERS), help="the format of the ground truth")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--ground-truths", type=Path, required=True, help="folder of the ground-truth files")
    parser.add_argument("--output", type=Path, required=True, help="records file to write (.jsonl)")
    arguments = parser.parse_args()
    records, report = READERS[arguments.dataset](arguments.images, arguments.ground_truths)
    write_records(arguments.output, records)
    summary = dataset_summary(records)
    print(f"{arguments.output}: {summary.images} images, {summary.words} words")
    print(f"  to learn from: {summary.with_polygon} with a polygon, {summary.with_text} with a text")
    print(f"  ignored: {summary.ignored}, {report.degenerate} of them because their polygon has no area")
    print(
        f"  kept as they are: {report.self_crossing} crossing themselves, {report.counter_clockwise} counter-clockwise"
    )
    print(f"  of unknown text: {report.without_text}")


if __name__ == "__main__":
    run_command(main)
