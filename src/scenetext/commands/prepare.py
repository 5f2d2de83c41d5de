"""Converts datasets as downloaded to records; splits, checks and packs records; makes dictionaries.

`scenetext prepare FOLDER` finds out what lies in a folder; `scenetext prepare DATASET` names it. `scenetext prepare
DATASET --help` says where a dataset comes from and which files it consists of. Every command counts
what it drops or alters, and why.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenetext.commands.command_line import add_share_argument, share
from scenetext.commands.outputs import output_path
from scenetext.errors import DataError

if TYPE_CHECKING:
    from scenetext.commands.command_line import CommandParser
    from scenetext.data.preparation.datasets import Preparation
    from scenetext.data.preparation.dictionaries import CharacterCounts
    from scenetext.data.readers import Finding, FoundSplits, Policy, Reader, ReadReport
    from scenetext.text.charset import CharacterSet

EXAMPLES = """\
  scenetext prepare photos/labelled
  scenetext prepare totaltext --source downloads/totaltext --output data/totaltext
  scenetext prepare icdar2015 --images ch4_training_images \\
      --ground-truths ch4_training_localization_transcription_gt --output data/icdar2015/train.jsonl
  scenetext prepare synthtext --images SynthText --ground-truths SynthText/gt.mat \\
      --output data/synthtext/all.jsonl
  scenetext prepare split data/synthtext/all.jsonl --validation-images 2000 \\
      --output data/synthtext/train.jsonl --validation-output data/synthtext/validation.jsonl
  scenetext prepare lsvt-weak --images train_weak_images --ground-truths train_weak_labels.json \\
      --output data/lsvt/all.jsonl --characters-output data/lsvt/characters.txt
  scenetext prepare oclip-table --table train_char.csv --output data/mine/train.jsonl
  scenetext prepare check data/icdar2015/train.jsonl data/icdar2015/test.jsonl
  scenetext prepare rotated data/icdar2013/test.jsonl --degrees 45 --output data/icdar2013_45
  scenetext prepare shards data/synthtext/train.jsonl --output data/synthtext/shards
  scenetext prepare pack data/icdar2015/train.jsonl data/totaltext/train.jsonl --output data/packed
  scenetext prepare pack data/acquired/records.jsonl --output data/packed --share 3/64
  scenetext prepare merge data/packed/acquired_records/records.jsonl
  scenetext prepare dictionary char_dict data/characters/published.txt
  scenetext prepare characters data/lsvt/all.jsonl --characters data/characters/published.txt
"""
CHARACTERS_SHOWN = 50


def add_arguments(parser: CommandParser) -> None:
    from scenetext.data.readers import READERS

    commands = parser.add_subparsers("folder", dest="command", required=True, metavar="COMMAND")
    text = "find out what lies in a folder, and convert it"
    description = "The word `folder` may be left out, unless the folder is called like a command. A format that is "
    description += "not recognised, or one with flags of its own, is named: scenetext prepare NAME --source FOLDER."
    command = commands.add_parser("folder", help=text, description=description)
    command.add_argument("source", type=Path, help="folder with images, annotated in any of the forms below or not")
    text = "folder to write a records file for each split to; default: data/<name of the folder>"
    command.add_argument("--output", type=output_path, help=text)
    add_character_arguments(command)
    add_policy_arguments(command)
    command.set_defaults(act=prepare_folder)

    for name, reader in READERS.items():
        description = f"{reader.title}. Expected: {reader.files}; {reader.source}."
        add_dataset(commands.add_parser(name, help=reader.title, description=description), reader)

    text = "set the last images of records files aside for validation"
    reason = "SynthText's images of one background follow each other, so hardly any background gets into both parts."
    command = commands.add_parser("split", help=text, description=f"Will {text}. {reason}")
    command.add_argument("records", type=Path, nargs="+", help="records files (.jsonl)")
    command.add_argument("--validation-images", type=int, required=True, metavar="N", help="how many to set aside")
    command.add_argument("--output", type=output_path, required=True, help="records file to write for training")
    command.add_argument(
        "--validation-output", type=output_path, required=True, help="records file to write for validation"
    )
    command.set_defaults(act=split)

    command = commands.add_parser("shards", help="records and their images to tar shards, in a random order")
    command.add_argument("records", type=Path, nargs="+", help="records files (.jsonl)")
    command.add_argument("--output", type=output_path, required=True, metavar="FOLDER", help="folder to write to")
    command.add_argument("--images-per-shard", type=int, default=10_000, metavar="N", help="images of a shard")
    command.add_argument("--seed", type=int, default=0, help="of the random order")
    command.set_defaults(act=make_shards)

    text = "images turned by an angle, with their records: rotated ICDAR 2013 and the like"
    command = commands.add_parser("rotated", help=text, description=f"{text}. The canvas grows, so no text is cut.")
    command.add_argument("records", type=Path, nargs="+", help="records files (.jsonl)")
    command.add_argument("--degrees", type=float, required=True, metavar="N", help="clockwise; negative: the other way")
    command.add_argument("--output", type=output_path, required=True, metavar="FOLDER", help="folder to write to")
    command.set_defaults(act=rotate)

    text = "records and their images, made smaller, to tar shards: to carry data sets to another machine"
    description = f"{text.capitalize()}. Each records file becomes a folder, OUTPUT/<its folder>_<its name>."
    command = commands.add_parser("pack", help=text, description=description)
    command.add_argument("records", type=Path, nargs="+", help="records files (.jsonl)")
    command.add_argument("--output", type=output_path, required=True, metavar="FOLDER", help="folder to write to")
    text = "pixels; larger images are scaled down to it, smaller ones are never enlarged"
    command.add_argument("--longer-side", type=int, default=736, metavar="N", help=text)
    command.add_argument("--quality", type=int, default=65, metavar="N", help="of JPEG, 1 to 100")
    command.add_argument("--images-per-shard", type=int, default=10_000, metavar="N", help="images of a shard")
    command.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; one per core is best")
    text = "share of a file's images that may be dropped because they cannot be read"
    command.add_argument("--maximum-faulty-share", type=share, default=0.05, metavar="X", help=text)
    add_share_argument(command)
    command.set_defaults(act=pack)

    text = "put the shares together that jobs made with --share"
    command = commands.add_parser("merge", help=text, description=f"Will {text}; refuses if one is missing.")
    command.add_argument(
        "output", type=output_path, help="records file to write (.jsonl); its folder has those of the shares"
    )
    command.set_defaults(act=merge)

    command = commands.add_parser("characters", help="build or check a dictionary with the words of records files")
    command.add_argument("records", type=Path, nargs="+", help="records files (.jsonl)")
    add_character_arguments(command)
    command.set_defaults(act=count_characters)

    text = "look through records files and at the headers of their images; exit code 1 where one is not usable as it is"
    command = commands.add_parser("check", help=text, description=f"Will {text}. Trainings use the result.")
    command.add_argument("records", type=Path, nargs="+", help="records files (.jsonl)")
    command.add_argument("--characters", type=Path, metavar="FILE", help="hold the words against this dictionary")
    command.set_defaults(act=check)

    command = commands.add_parser("dictionary", help="a published, pickled dictionary (char_dict) to a plain one")
    command.add_argument("source", type=Path, help="the pickled dictionary; nothing in it is executed")
    command.add_argument("target", type=output_path, help="dictionary to write, one character a line")
    command.set_defaults(act=convert_dictionary)


def add_dataset(command: argparse.ArgumentParser, reader: Reader) -> None:
    """The flags of a dataset: its folder, or those of its reader, and those that all have."""
    if reader.splits:
        text = f"folder with what the dataset consists of; writes a file for each split: {', '.join(reader.splits)}"
        command.add_argument("--source", type=Path, metavar="FOLDER", help=text)
    for argument in reader.arguments:
        command.add_argument(
            argument.flag,
            type=str if argument.kind == "text" else Path,
            nargs="+" if argument.kind == "folders" else None,
            metavar="TEXT" if argument.kind == "text" else argument.kind.removesuffix("s").upper(),
            help=argument.meaning + (f" (default: {argument.default})" if argument.default else ""),
        )
    text = "records file to write (.jsonl)" + ("; with --source, folder to write to" if reader.splits else "")
    command.add_argument("--output", type=output_path, required=True, help=text)
    add_character_arguments(command)
    if reader.is_own:
        add_policy_arguments(command)
    command.set_defaults(act=prepare, reader=reader)


def add_policy_arguments(command: argparse.ArgumentParser) -> None:
    """What to do with images that cannot be used, or not as they are; what is not given is as the reader has it."""
    text = "images beside labelled ones that no annotation belongs to: skip, keep as images without text, or stop"
    command.add_argument("--without-labels", choices=("skip", "keep", "stop"), help=text)
    text = "images that are missing or unreadable, or whose annotations are for another frame: skip or stop"
    command.add_argument("--unreadable", choices=("skip", "stop"), help=text)
    text = "images with a line or entry that cannot be parsed: skip or stop"
    command.add_argument("--broken", choices=("skip", "stop"), help=text)
    text = "share of the images, of those that are unreadable or broken, above which the command stops"
    command.add_argument("--maximum-skipped-share", type=float, metavar="X", help=text)
    text = (
        "what polygons are drawn on: the stored pixels, the upright image (EXIF orientation applied), or whichever the "
        "annotations tell"
    )
    command.add_argument("--frame", choices=("auto", "stored", "upright"), help=text)


def chosen_policy(arguments: argparse.Namespace, reader: Reader) -> Policy | None:
    """What the flags say, and where they do not, the reader; None for a published dataset, which takes no flags."""
    from scenetext.data.readers import Policy

    flags = {one.name: getattr(arguments, one.name, None) for one in fields(Policy)}
    given = {name: value for name, value in flags.items() if value is not None}
    if not reader.is_own:
        if given:
            flag = f"--{next(iter(given)).replace('_', '-')}"
            arguments.refuse(f"{flag} is for data of your own, and this is a published dataset: all of it counts")
        return None
    return replace(reader.policy, **given)


def add_character_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--characters", type=Path, metavar="FILE", help="check the words against this dictionary")
    command.add_argument(
        "--characters-output", type=output_path, metavar="FILE", help="write a dictionary of all characters found"
    )


def run(arguments: argparse.Namespace) -> int | None:
    code: int | None = arguments.act(arguments)
    return code


def prepare(arguments: argparse.Namespace) -> None:
    """Reads a dataset, writes the records of every split and prints what is in them."""
    from scenetext.data.preparation.datasets import prepare_dataset
    from scenetext.data.preparation.dictionaries import CharacterCounts
    from scenetext.data.readers.foreign import advised

    check_sources(arguments)
    reader: Reader = arguments.reader
    given = {one.name: getattr(arguments, one.name) for one in reader.arguments}
    options = {name: value for name, value in given.items() if value is not None}
    source: Path | None = getattr(arguments, "source", None)
    characters = CharacterCounts(known_characters(arguments))
    policy = chosen_policy(arguments, reader)
    with advised([options.get("ground_truths") if source is None else source]):
        if source is None:
            values = {one.name: one.default_value for one in reader.arguments}
            print_preparation(prepare_dataset(reader, {**values, **options}, arguments.output, characters, policy))
        else:
            found = reader.find(source)
            refuse_shared_folders(found, policy)
            prepare_splits(reader, found, options, arguments.output, characters, policy)
            print_missing(found, source)
    print_characters(characters, arguments)


def prepare_folder(arguments: argparse.Namespace) -> None:
    """Finds out what lies in a folder, prints what and why, and writes the records of every split."""
    from scenetext.data.preparation.dictionaries import CharacterCounts
    from scenetext.data.readers import READERS
    from scenetext.data.readers.recognition import recognise

    recognised = recognise(arguments.source, READERS)
    reader = READERS[recognised.name]
    print(f"{arguments.source}: {recognised.name}, {reader.title}\n  since {recognised.reason}")
    output = arguments.output or Path("data", arguments.source.resolve().name)
    if output.suffix == ".jsonl" or output.is_file():
        arguments.refuse("--output must be a folder: a records file is written for every split")
    characters = CharacterCounts(known_characters(arguments))
    policy = chosen_policy(arguments, reader)
    refuse_shared_folders(recognised.found, policy)
    prepare_splits(reader, recognised.found, {}, output, characters, policy)
    print_missing(recognised.found, arguments.source)
    print_characters(characters, arguments)


def prepare_splits(
    reader: Reader,
    found: FoundSplits,
    options: Mapping[str, Any],
    output: Path,
    characters: CharacterCounts,
    policy: Policy | None = None,
) -> None:
    """Writes the records of every split and prints what is in them."""
    from scenetext.data.preparation.datasets import SplitImages, prepare_dataset

    images = SplitImages()
    for name, values in found.splits.items():
        records = output / f"{name}.jsonl"
        print_preparation(prepare_dataset(reader, {**values, **options}, records, characters, policy, images))


def print_missing(found: FoundSplits, source: Path) -> None:
    """Prints which splits of a dataset are not in a folder, and what was looked for."""
    for name, paths in found.missing.items():
        print("\n  ".join([f"{name}: not written, since it is not in {source}", *paths]))
    for path in found.unread:
        print(f"not read: {path}")


def refuse_shared_folders(found: FoundSplits, policy: Policy | None) -> None:
    """Refuses to keep images without labels where those of one split are the labelled ones of another."""
    folders = [values["images"] for values in found.splits.values() if "images" in values]
    if policy is not None and policy.without_labels == "keep" and len(set(folders)) < len(folders):
        raise DataError(f"--without-labels keep: splits share the images in {folders[0]}; convert them one by one")


def print_preparation(done: Preparation) -> None:
    """Prints what is in a records file and what is not, and draws some of its images."""
    from scenetext.data.preparation.plausibility import doubts
    from scenetext.data.records.files import RecordFiles
    from scenetext.inspection.sample_sheet import write_sample_sheet

    summary = done.summary
    print(f"{done.output}: {summary.images} images, {summary.instances} words")
    print(f"  to learn from: {summary.with_polygon} with a polygon, {summary.with_text} with a text")
    print(f"  ignored: {summary.ignored}")
    print_report(done.report)
    for doubt in doubts(summary):
        print(f"  warning: {doubt.cause}")
    picture = done.output.with_name(f"{done.output.stem}_samples.jpg")
    for error in write_sample_sheet(picture, RecordFiles([done.output])):
        print(f"  not on {picture.name}: {error}")


def split(arguments: argparse.Namespace) -> None:
    """Sets the last images of records files aside for validation."""
    from tqdm import tqdm

    from scenetext.data.records.files import RecordFiles, write_records

    records = RecordFiles(arguments.records)
    held_out = arguments.validation_images
    if not 0 < held_out < len(records):
        raise DataError(f"--validation-images {held_out}: there are {len(records)} images, and some must remain")
    for path, part in ((arguments.output, records[:-held_out]), (arguments.validation_output, records[-held_out:])):
        count = write_records(path, tqdm(part, path.name, unit="image", delay=1, disable=None))
        print(f"{path}: {count} images")


def make_shards(arguments: argparse.Namespace) -> None:
    """Copies the images of records to tar shards."""
    from scenetext.data.preparation.shard_writing import RECORDS_NAME, write_shards
    from scenetext.data.readers import ReadReport
    from scenetext.data.records.files import RecordFiles

    report = ReadReport()
    records = RecordFiles(arguments.records)
    count = write_shards(records, arguments.output, arguments.images_per_shard, arguments.seed, report)
    print(f"{arguments.output / RECORDS_NAME}: {count} images in shards of {arguments.images_per_shard}")
    print_report(report)


def rotate(arguments: argparse.Namespace) -> None:
    """Turns the images of records."""
    from scenetext.data.preparation.rotation import RECORDS_NAME, write_turned
    from scenetext.data.records.files import RecordFiles

    count = write_turned(RecordFiles(arguments.records), arguments.output, arguments.degrees)
    print(f"{arguments.output / RECORDS_NAME}: {count} images, turned by {arguments.degrees:g} degrees")


def pack(arguments: argparse.Namespace) -> None:
    """Copies records and their images, made smaller, to tar shards: a folder for each records file."""
    from scenetext.data.preparation.packing import PackSettings, pack_records, pack_share, packed_folders
    from scenetext.data.preparation.shares import Share

    settings = PackSettings(arguments.longer_side, arguments.quality)
    own = None if arguments.share is None else Share.parse(arguments.share)
    folders = packed_folders(arguments.records, arguments.output)
    limits = (arguments.images_per_shard, arguments.workers, arguments.maximum_faulty_share)
    images = size = 0
    for path, folder in folders.items():
        if own is None:
            done = pack_records(path, folder, settings, *limits)
        elif (packed := pack_share(path, own, folder, settings, *limits)) is not None:
            done = packed
        else:
            print(f"{path}: {own} is there already")
            continue
        print(f"{done.records}: {done.images} images, {done.size / 1e6:.1f} MB")
        print_report(done.report)
        images, size = images + done.images, size + done.size
    if images:
        print(f"{arguments.output}: {images} images, {size / 1e6:.1f} MB, {size / images / 1e3:.1f} kB an image")


def merge(arguments: argparse.Namespace) -> None:
    """Puts shares together."""
    from scenetext.data.preparation.shares import merge_shares

    images = merge_shares(arguments.output)
    print(f"{arguments.output}: {sum(images.values())} images of {len(images)} shares")


def count_characters(arguments: argparse.Namespace) -> None:
    """Builds or checks a dictionary with the words of records files."""
    from tqdm import tqdm

    from scenetext.data.preparation.dictionaries import CharacterCounts
    from scenetext.data.records.files import RecordFiles

    counts = CharacterCounts(known_characters(arguments))
    for _ in counts.watch(tqdm(RecordFiles(arguments.records), unit="image", delay=1, disable=None)):
        pass
    print_characters(counts, arguments)


def check(arguments: argparse.Namespace) -> int:
    """Looks through records files and at the headers of their images; 1 where one of them is not usable as it is."""
    from scenetext.data.preparation.check_cache import checked_records
    from scenetext.data.preparation.checks import check_report
    from scenetext.data.records.index import records_index

    known = known_characters(arguments)
    indexes = {path: records_index(path, None, print) for path in arguments.records}
    checks = {path: checked_records(path, index, again=True) for path, index in indexes.items()}
    for path, found in checks.items():
        print("\n".join(check_report(path, found, known)))
    return 0 if all(found.is_usable for found in checks.values()) else 1


def convert_dictionary(arguments: argparse.Namespace) -> None:
    """Writes a published, pickled dictionary as a plain one."""
    from scenetext.data.preparation.dictionaries import read_pickled_dictionary

    write_characters(read_pickled_dictionary(arguments.source), arguments.target)


def known_characters(arguments: argparse.Namespace) -> CharacterSet | None:
    from scenetext.text.charset import CharacterSet

    return CharacterSet.from_file(arguments.characters) if arguments.characters else None


def print_report(report: ReadReport) -> None:
    """Prints what was dropped or altered, one reason a line."""
    findings: tuple[tuple[str, Mapping[str, Finding]], ...] = (("dropped", report.dropped), ("noted", report.noted))
    for title, reasons in findings:
        for reason, finding in reasons.items():
            print(f"  {title}: {reason}: {finding}")


def print_characters(counts: CharacterCounts, arguments: argparse.Namespace) -> None:
    """Prints how the words fit a dictionary, and writes one of all characters found, each where it was asked for."""
    from scenetext.text.charset import describe

    print(f"  {len(counts)} different characters in {counts.words} words")
    if arguments.characters:
        unknown = counts.unknown()
        print(f"  {arguments.characters}: lacks {len(unknown)} of them, which {counts.unknown_words} words have")
        for one in unknown[:CHARACTERS_SHOWN]:
            print(f"    {describe(one.character)}: {one.count} times, as in {', '.join(one.words)}")
        if len(unknown) > CHARACTERS_SHOWN:
            print(f"    and {len(unknown) - CHARACTERS_SHOWN} more")
    if arguments.characters_output:
        write_characters(counts.characters(), arguments.characters_output)


def write_characters(characters: CharacterSet, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    characters.write(path)
    print(f"{path}: {len(characters)} characters, vocabulary {characters.vocabulary_size}")


def check_sources(arguments: argparse.Namespace) -> None:
    """Refuses a dataset that is named in two ways, or in none."""
    reader: Reader = arguments.reader
    given = [argument for argument in reader.arguments if getattr(arguments, argument.name) is not None]
    required = [argument for argument in reader.arguments if argument.is_required]
    if getattr(arguments, "source", None) is not None:
        found = {name for split in reader.splits.values() for name in (*split.paths, *split.values)}
        if flags := ", ".join(argument.flag for argument in given if argument.name in found):
            arguments.refuse(f"--source finds what {flags} would name; give only one of them")
        if arguments.output.suffix == ".jsonl" or arguments.output.is_file():
            arguments.refuse("--output must be a folder, for --source writes a records file for every split")
    elif not set(required) <= set(given):
        flags = ", ".join(argument.flag for argument in required)
        arguments.refuse(f"give {'--source, or all of ' if reader.splits else ''}{flags}")
