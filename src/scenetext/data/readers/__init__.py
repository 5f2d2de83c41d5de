"""Readers of datasets, by the names that `tools/prepare_dataset.py` knows them by.

All are used alike. With the folder that the publisher's archives were unpacked to (or that holds annotations of one's
own):

    reader = READERS["totaltext"]
    for split, values in reader.find(folder).splits.items():
        report = ReadReport()
        records = list(reader.read(values, report))

`find` raises a DataError where no split is there and says in `missing` which ones are not; `read`, or taking its
records, raises a DataError for every fault of the data. Readers without `splits` (`oclip-table`, `tar-shards`) have to
be told their arguments: `reader.read({"shards": folder}, report)`.

Adding a dataset: a module with a function from its files to records and a `READER` that describes it, and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from scenetext.data.readers import (
    icdar2015,
    lsvt,
    oclip_table,
    synthtext,
    tar_shards,
)
from scenetext.data.readers.places import Found, Split
from scenetext.data.readers.reader import Argument, Reader
from scenetext.data.readers.report import Finding, ReadReport

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "icdar2015": icdar2015.READER,
        "synthtext": synthtext.READER,
        "lsvt-weak": lsvt.READER,
        "oclip-table": oclip_table.READER,
        "tar-shards": tar_shards.READER,
    }
)

__all__ = ["READERS", "Argument", "Finding", "Found", "ReadReport", "Reader", "Split"]
