"""Readers of public datasets, by the name that `tools/prepare_dataset.py` knows them by.

Adding a dataset: a module with a function from its files to records, and an entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from scenetext.data.readers.icdar2015 import read_icdar2015
from scenetext.data.readers.lsvt import read_lsvt_weak
from scenetext.data.readers.oclip_table import read_oclip_table
from scenetext.data.readers.reader import Argument, Reader
from scenetext.data.readers.report import Finding, ReadReport
from scenetext.data.readers.synthtext import read_synthtext
from scenetext.data.readers.tar_shards import read_tar_shards

_IMAGES = Argument("images", "folder", "folder of the images")

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "icdar2015": Reader(
            title="ICDAR 2015, incidental scene text: photographs with word quadrilaterals and transcriptions",
            source="get it from https://rrc.cvc.uab.es/?ch=4&com=downloads, task 4.1 (registration needed)",
            files="a folder of <name>.jpg and a folder of gt_<name>.txt, one for each image",
            arguments=(_IMAGES, Argument("ground_truths", "folder", "folder of the gt_*.txt files")),
            function=read_icdar2015,
        ),
        "synthtext": Reader(
            title="SynthText: 858,750 photographs with words drawn into them, with polygons and transcriptions",
            source="get it from https://www.robots.ox.ac.uk/~vgg/data/scenetext/ (SynthText.zip, 41 GB)",
            files="the unpacked folder with gt.mat and the image folders 1 to 200",
            arguments=(
                Argument("images", "folder", "folder that holds the image folders 1 to 200"),
                Argument("ground_truths", "file", "gt.mat"),
            ),
            function=read_synthtext,
        ),
        "lsvt-weak": Reader(
            title="LSVT with weak annotations: 400,000 Chinese street views with some of their words, without places",
            source="get it from https://rrc.cvc.uab.es/?ch=16&com=downloads (registration needed)",
            files="train_weak_labels.json and the images gt_<number>.jpg, in one folder or its subfolders",
            arguments=(_IMAGES, Argument("ground_truths", "file", "train_weak_labels.json")),
            function=read_lsvt_weak,
        ),
        "oclip-table": Reader(
            title="the training table of the published oCLIP code: image paths and captions, separated by tabs",
            source="it is made by tools/convert_*_csv.py of https://github.com/bytedance/oclip",
            files="a table with the columns filepath and title (train_char.csv), and the images that it names",
            arguments=(
                Argument("table", "file", "the table (train_char.csv)"),
                Argument("images", "folder", "what the paths in the table are relative to", default="."),
                Argument("image_column", "text", "name of the column of image paths", default="filepath"),
                Argument("caption_column", "text", "name of the column of captions", default="title"),
            ),
            function=read_oclip_table,
        ),
        "tar-shards": Reader(
            title="tar shards that lack their records file, or were written by webdataset with our records in them",
            source="shards are made by `prepare_dataset.py shards`, or by https://github.com/webdataset/webdataset",
            files="a folder of *.tar with an image and a .json of the same name for every image",
            arguments=(Argument("shards", "folder", "folder of the shards"),),
            function=read_tar_shards,
        ),
    }
)

__all__ = ["READERS", "Argument", "Finding", "ReadReport", "Reader"]
