"""Readers of datasets, by the names that `scenetext prepare` knows them by.

All are used alike. With the folder that the publisher's archives were unpacked to (or that holds annotations of one's
own):

    reader = READERS["totaltext"]
    for split, values in reader.find(folder).splits.items():
        report = ReadReport(reader.policy)
        records = list(reader.read(values, report))

The policy says what happens with images that cannot be used; with `ReadReport()` alone, all readers are as strict as
those of published datasets. `find` raises a DataError where no split is there and says in `missing` which ones are not;
`read`, or taking its records, raises a DataError for every fault of the data. Readers without `splits` (`oclip-table`,
`tar-shards`) need their arguments: `reader.read({"shards": folder}, report)`.

Adding a dataset: a module with a function from its files to records and a `READER` that describes it, and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from scenetext.data.readers import (
    art2019,
    coco,
    coco_text,
    ctw1500,
    doctr,
    icdar2013,
    icdar2015,
    icdar_folder,
    image_folder,
    labelme,
    lsvt,
    lsvt_weak,
    mlt2017,
    mmocr,
    oclip_table,
    ppocrlabel,
    synthtext,
    synthtext150k,
    tar_shards,
    td500,
    textocr,
    totaltext,
)
from scenetext.data.readers.policy import Policy
from scenetext.data.readers.reader import Argument, Reader
from scenetext.data.readers.report import Finding, ReadReport
from scenetext.data.readers.splits import FoundSplits, Split

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "synthtext": synthtext.READER,
        "synthtext150k": synthtext150k.READER,
        "icdar2013": icdar2013.READER,
        "icdar2015": icdar2015.READER,
        "mlt2017": mlt2017.READER,
        "art2019": art2019.ART2019,
        "nighttime-art": art2019.NIGHTTIME_ART,
        "lsvt": lsvt.READER,
        "lsvt-weak": lsvt_weak.READER,
        "totaltext": totaltext.READER,
        "ctw1500": ctw1500.READER,
        "ctw1500-2017": ctw1500.CTW1500_2017,
        "msra-td500": td500.MSRA_TD500,
        "hust-tr400": td500.HUST_TR400,
        "textocr": textocr.READER,
        "coco-text": coco_text.READER,
        "mmocr-0x": mmocr.MMOCR_0X,
        "mmocr-1x": mmocr.MMOCR_1X,
        "images": image_folder.READER,
        "icdar-folder": icdar_folder.READER,
        "coco": coco.READER,
        "labelme": labelme.READER,
        "doctr": doctr.READER,
        "ppocrlabel": ppocrlabel.READER,
        "oclip-table": oclip_table.READER,
        "tar-shards": tar_shards.READER,
    }
)

__all__ = ["READERS", "Argument", "Finding", "FoundSplits", "Policy", "ReadReport", "Reader", "Split"]
