"""Makes scene-text images with word polygons and transcriptions; nothing is downloaded.

What the scenes look like is set in a config; there are, from easy to hard:
  single_word   one large word in 96 x 96 pixels
  few_words     2 to 4 words in 192 x 192
  street        3 to 12 words in about 576 x 432, all effects
--print-config shows every setting. Words too low to be read (ignore_height) are marked "ignore".

Written to the output folder:
  images/*.jpg       the images
  records.jsonl      polygons and transcriptions, what all other tools read
  sheet.jpg          a sample with its polygons, to look at first (ignored words in red)
  scenes.yaml        settings, seed and versions: all that is needed to make the same images again

With --glyphs, glyph layers for FreeReal: images/*.png, whose fourth channel says which pixels are letters.

The images depend on the seed, not on the number of workers. Take another seed for a validation set.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scenetext.commands.outputs import output_path
from scenetext.errors import DataError
from scenetext.resources import resource_folder

if TYPE_CHECKING:
    from scenetext.scenes import SceneGenerator
    from scenetext.scenes.fonts import FontSearch
    from scenetext.scenes.writing import GenerationReport

EXAMPLES = """\
  scenetext generate street --output outputs/scenes --count 1000 --workers 4
  scenetext generate single_word --output outputs/words --count 20000 --seed 1
  scenetext generate street --output outputs/mine --count 500 \\
      --backgrounds backgrounds --fonts fonts --words words.txt words='[5, 20]' layout.curve_probability=0.5
  scenetext generate street --glyphs --output outputs/glyphs --count 20000 --seed 2
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="what scenes look like: the name of a config, or a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change, as in text.random=0.5")
    parser.add_argument("--output", type=output_path, metavar="FOLDER", help="folder to write to")
    parser.add_argument("--count", type=int, default=1000, help="number of images")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same images")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; one per core is best")
    parser.add_argument("--backgrounds", type=Path, metavar="FOLDER", help="images to put signs on, best without text")
    parser.add_argument(
        "--fonts", type=Path, metavar="FOLDER", help="folder of .ttf, .otf; default: the system's fonts"
    )
    parser.add_argument(
        "--words",
        type=Path,
        metavar="FILE",
        default=resource_folder("words") / "english.txt",
        help="one word a line, UTF-8",
    )
    parser.add_argument("--glyphs", action="store_true", help="write glyph layers, to be pasted on other images")
    parser.add_argument("--overwrite", action="store_true", help="replace scenes that are in the output folder")
    parser.add_argument("--print-config", action="store_true", help="print the resolved settings and stop")


def run(arguments: argparse.Namespace) -> None:
    from tqdm import tqdm

    from scenetext.config import dump_yaml, load_settings, named_file
    from scenetext.data.readers.files import find_images
    from scenetext.data.records.files import RecordFiles
    from scenetext.inspection.sample_sheet import write_sample_sheet
    from scenetext.scenes import SceneGenerator, SceneSettings
    from scenetext.scenes.fonts import load_fonts
    from scenetext.scenes.words import read_words
    from scenetext.scenes.writing import generate

    settings = load_settings(
        SceneSettings, named_file(resource_folder("configs") / "scenes", arguments.config), arguments.overrides
    )
    if arguments.print_config:
        print(dump_yaml(settings), end="")
        return
    if arguments.output is None:
        raise DataError("name a folder for the scenes: --output FOLDER")
    search = load_fonts(arguments.fonts)
    scenes = SceneGenerator(
        settings,
        arguments.seed,
        search.fonts,
        read_words(arguments.words) if settings.text.listed else (),
        find_images(arguments.backgrounds)[0] if arguments.backgrounds else (),
    )
    interval = 0.1 if sys.stderr.isatty() else 10.0
    with tqdm(total=arguments.count, unit="image", smoothing=0.05, delay=0.1, mininterval=interval) as progress:
        report = generate(
            scenes,
            arguments.output,
            arguments.count,
            arguments.workers,
            arguments.overwrite,
            provenance={
                "command": arguments.command_line,
                "words": str(arguments.words),
                "photographs": str(arguments.backgrounds) if arguments.backgrounds else None,
            },
            on_image=lambda _: progress.update(),
            glyphs=arguments.glyphs,
        )
        progress.refresh()
    picture = arguments.output / "sheet.jpg"
    write_sample_sheet(picture, RecordFiles([report.records]))
    print_summary(report, scenes, search, picture)


def print_summary(report: GenerationReport, scenes: SceneGenerator, search: FontSearch, picture: Path) -> None:
    """What was made, how fast, from what, and where it lies."""
    fonts, unwritable = search.fonts, scenes.unwritable
    names = ", ".join(fonts.name(number) for number in range(len(fonts))[:4]) + (", ..." if len(fonts) > 4 else "")
    rate, lowest = report.images / report.seconds, scenes.settings.ignore_height
    print(f"images       {report.images} ({rate:.1f} per second)")
    print(f"words        {report.words}, {report.ignored} of them ignored (lower than {lowest:g} px)")
    print(f"fonts        {len(fonts)} usable ({names}), {len(search.skipped)} skipped")
    for path, reason in search.skipped[:3]:
        print(f"             skipped {path.name}: {reason}")
    if unwritable:
        print(f"dropped      {len(unwritable)} listed words that no font can write: {', '.join(unwritable[:5])}")
    print(f"backgrounds  {f'{len(scenes.backgrounds)} images' if scenes.backgrounds else 'procedural'}")
    print(f"records      {report.records}")
    print(f"sample       {picture}  (look at it before you train)")
