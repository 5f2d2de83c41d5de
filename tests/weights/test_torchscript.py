"""Archives are made with torch.jit in the test, as a publisher would; the reader never uses it."""

from __future__ import annotations

import copyreg
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from scenetext.errors import CheckpointError
from scenetext.weights.files import read_weights
from scenetext.weights.torchscript import ModuleObject, ModuleUnpickler, is_torchscript, read_torchscript
from scenetext.weights.unpickling import UnsafePickleError

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*")


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4).t())
        self.register_buffer("halves", torch.randn(2, 3).half())
        self.register_buffer("brain", torch.randn(2).bfloat16())
        self.heads = 300
        self.names = ["a", "b"]
        self.sizes = [1, 2**40]
        self.kept = [torch.ones(2)]
        self.scales = {"one": 1.5}

    def forward(self, values: Tensor) -> Tensor:
        return values @ self.weight


class Model(nn.Module):
    """Nested, shared and sliced modules and tensors of every number type, and plain attributes of many kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Block(), Block()])
        self.shared = self.layers[0]
        self.layers[1].weight = self.layers[0].weight
        self.norm = nn.BatchNorm2d(2)
        whole = torch.randn(6, 5)
        self.rows = nn.Parameter(whole[1:3])
        self.columns = nn.Parameter(whole[:, 2:4])
        self.register_buffer("resolution", torch.tensor(224))
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("bytes_", torch.arange(4, dtype=torch.uint8))
        self.register_buffer("doubles", torch.randn(2, dtype=torch.float64))
        self.register_buffer("nothing", torch.empty(0, 3))

    def forward(self, values: Tensor) -> Tensor:
        return self.shared(values) + self.layers[0](values)


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert torch.equal(found[name], value), name


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("archive") / "model.pt"
    torch.jit.script(Model()).save(str(path))
    return path


def test_scripted_module_gives_its_state_dict(archive: Path) -> None:
    found = read_torchscript(archive)
    same(found, torch.jit.load(str(archive)).state_dict())
    assert found["layers.0.weight"].stride() == (1, 4)
    assert found["layers.0.weight"].data_ptr() == found["layers.1.weight"].data_ptr()
    assert found["rows"].untyped_storage().data_ptr() == found["columns"].untyped_storage().data_ptr()
    found["rows"].add_(1)  # memory of its own, that can be written


def test_traced_module_gives_its_state_dict(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Conv2d(4, 2, 1))).half().eval()
    torch.jit.trace(model, torch.randn(1, 3, 8, 8).half()).save(str(tmp_path / "traced.pt"))
    same(read_torchscript(tmp_path / "traced.pt"), model.state_dict())
    same(read_weights(tmp_path / "traced.pt").tensors, model.state_dict())


def test_only_such_archives_are_taken_for_one(archive: Path, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "state.pt")
    (tmp_path / "text.pt").write_text("nothing")
    assert is_torchscript(archive)
    assert not any(is_torchscript(tmp_path / name) for name in ("state.pt", "text.pt", "none.pt"))


def rezip(source: Path, target: Path, changes: Mapping[str, bytes | None], compression: int = 0) -> Path:
    """The archive with members replaced, added, or (None) removed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        members = {name: old.read(name) for name in old.namelist()}
        for name, content in {**members, **changes}.items():
            if content is not None:
                new.writestr(name, content)
    return target


def pickled(archive: Path) -> bytes:
    with zipfile.ZipFile(archive) as content:
        return content.read("model/data.pkl")


class Calls:
    """Pickles to a call of anything."""

    def __init__(self, called: Callable, *arguments: object) -> None:
        self.call = (called, arguments)

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "bomb",
    [Calls(os.system, "touch exploded"), Calls(eval, "open('exploded', 'w')"), Calls(exec, "open('exploded', 'w')")],
    ids=["os.system", "eval", "exec"],
)
def test_calls_are_refused_and_not_made(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bomb: Calls, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (bomb, [bomb], {"a": (bomb,)}):
        path = rezip(archive, tmp_path / "bomb.pt", {"model/data.pkl": pickle.dumps(content, protocol)})
        with pytest.raises(CheckpointError, match=r"bomb\.pt: (names|holds the pickle instruction)"):
            read_weights(path)
    assert not (tmp_path / "exploded").exists()


def test_calls_hidden_in_a_whole_archive_are_named_and_not_made(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = pickled(archive)
    for old, new, message in (
        (b"ccollections\nOrderedDict\n", b"cposix\nsystem\n", "names posix.system"),
        (b"ctorch.jit._pickle\nbuild_intlist\n", b"cbuiltins\neval\n", "names builtins.eval"),
        (
            b"ctorch._utils\n_rebuild_tensor_v2\n",
            b"ctorch._utils\n_rebuild_parameter\n",
            "names torch._utils._rebuild_parameter",
        ),
        (b"c__torch__.torch.nn.modules.batchnorm\nBatchNorm2d\n", b"csubprocess\nPopen\n", "names subprocess.Popen"),
        (b"c__torch__.torch.nn.modules.batchnorm\nBatchNorm2d\n", b"c__torch__x\nPopen\n", "names __torch__x.Popen"),
        (b"ctorch\nLongStorage\n", b"cos\nLongStorage\n", "names os.LongStorage"),
        (b"ctorch\nLongStorage\n", b"ctorch\nload\n", "names torch.load"),
    ):
        assert old in whole
        path = rezip(archive, tmp_path / "bomb.pt", {"model/data.pkl": whole.replace(old, new)})
        with pytest.raises(CheckpointError, match=message):
            read_torchscript(path)
    arrays = pickle.dumps({"a": np.zeros(2)}, 2)
    with pytest.raises(CheckpointError):
        read_torchscript(rezip(archive, tmp_path / "bomb.pt", {"model/data.pkl": arrays}))


@pytest.mark.parametrize(
    "named",
    [b"__torch__\nM", b"torch\nFloatStorage", b"torch._utils\n_rebuild_tensor_v2", b"collections\nOrderedDict"],
)
@pytest.mark.parametrize(
    "state",
    [
        b"N}X\x01\x00\x00\x00ab\x86",
        b"}X\x01\x00\x00\x00aK\x01s",
        b"N}X\x01\x00\x00\x00aK\x01s\x86",
        b"N}X\x07\x00\x00\x00_resultK\x01s\x86",
        b"N}X\x07\x00\x00\x00__new__K\x01s\x86",
    ],
    ids=["damaged", "attributes", "slots", "result", "new"],
)
def test_what_a_name_stands_for_cannot_be_changed_by_a_pickle(named: bytes, state: bytes) -> None:
    """What an unpickler with an allow-list would do: set attributes on the class that it let through."""
    before = dict(vars(ModuleObject))
    unpickler = ModuleUnpickler(b"\x80\x02c" + named + b"\n" + state + b"b.")
    with pytest.raises((CheckpointError, pickle.UnpicklingError, TypeError, ValueError, AttributeError)):
        unpickler.load()
    assert dict(vars(ModuleObject)) == before
    assert read_back(one_tensor("2 2", "1 2", 2, 6)) == (2, 2)


def read_back(content: bytes) -> tuple[int, ...]:
    """The size that a pickle gives for the tensor `w`."""
    return ModuleUnpickler(content).load().attributes["w"].size


def test_registered_extensions_are_not_looked_up() -> None:
    """What another library of this process registered, and perhaps used already, is not in reach of a file."""
    copyreg.add_extension("os", "system", 200)
    try:
        assert pickle.loads(b"\x80\x02\x82\xc8.") is os.system  # now in the cache of the process
        with pytest.raises(UnsafePickleError, match="the pickle instruction EXT1"):
            ModuleUnpickler(b"\x80\x02\x82\xc8(X\x04\x00\x00\x00truetR.")
    finally:
        copyreg.remove_extension("os", "system", 200)


def test_a_pickle_cannot_ask_for_much_memory_or_deep_recursion(tmp_path: Path) -> None:
    """A few bytes that would make room for 10^9 values; modules and lists 100,000 levels deep; lists of 2^60 parts."""
    module = b"c__torch__\nM\n)\x81"
    deep = module + (b"}X\x01\x00\x00\x00a" + module) * 100_000 + b"sb" * 100_000
    lists = b"]" * 100_000 + b"a" * 99_999
    shared = b"]q\x00" + b"".join(b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(60))
    size = one_tensor("2 2", "1 2", 2, 6).replace(b"J\x02\x00\x00\x00J\x02\x00\x00\x00t", shared + b"t", 1)
    for content, problem in (
        (b"\x80\x02]r\xff\xff\xff\x3f.", "remembers a value under 1073741823"),
        (b"\x80\x02" + deep + b".", "modules within themselves"),
        (b"\x80\x02})" + b"\x85" * 400_000 + b"Ns.", "more than 100000 tuples"),
        (b"\x80\x02" + lists + b".", "holds list, expected a module"),
        (size, "is no whole number"),
    ):
        with pytest.raises(CheckpointError, match=problem):
            read_torchscript(write_one_tensor(tmp_path / "w.pt", content))


def little(value: int) -> bytes:
    return value.to_bytes(4, "little", signed=True)


def one_tensor(size: str, stride: str, offset: int, count: int, key: str = "0", kind: str = "FloatStorage") -> bytes:
    """The pickle of a module with one tensor `w`; sizes are given as text, numbers apart by blanks."""

    def text(value: str) -> bytes:
        return b"X" + little(len(value.encode())) + value.encode()

    def numbers(values: str) -> bytes:
        return b"(" + b"".join(b"J" + little(int(value)) for value in values.split()) + b"t"

    storage = b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
    storage += b"J" + little(count) + b"tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"J" + little(offset) + numbers(size) + numbers(stride)
    tensor += b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02c__torch__\nM\n)\x81}(" + text("w") + tensor + b"ub."


def write_one_tensor(path: Path, content: bytes, storage: bytes = bytes(24)) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in (("data.pkl", content), ("data/0", storage), ("constants.pkl", b"\x80\x02).")):
            archive.writestr(f"model/{name}", member)
    return path


def test_tensor_written_by_hand_is_read(tmp_path: Path) -> None:
    storage = np.arange(6, dtype=np.float32).tobytes()
    path = write_one_tensor(tmp_path / "w.pt", one_tensor("2 2", "1 2", 2, 6), storage)
    assert read_torchscript(path)["w"].tolist() == [[2, 4], [3, 5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (one_tensor("2 3", "3 1", 1, 6), "beyond its storage"),
        (one_tensor("7", "1", 0, 6), "beyond its storage"),
        (one_tensor("2", "6", 0, 6), "beyond its storage"),
        (one_tensor("2000000000 2000000000", "0 0", 0, 6), "beyond its storage"),
        (one_tensor("2", "1", 0, 600), "24 bytes"),
        (one_tensor("2", "1", 0, 6, kind="DoubleStorage"), "24 bytes"),
        (one_tensor("2", "1", -1, 6), "impossible"),
        (one_tensor("-2", "1", 0, 6), "impossible"),
        (one_tensor("2", "-1", 3, 6), "impossible"),
        (one_tensor("2", "1 1", 0, 6), "impossible"),
        (one_tensor("2", "1", 0, 6, key="1"), "'1' that it does not hold"),
        (one_tensor("2", "1", 0, 6, key="../data.pkl"), "does not hold"),
        (one_tensor("2", "1", 0, 6, kind="QInt8Storage"), "QInt8Storage"),
        (b"\x80\x02K\x01.", "expected a module"),
        (b"\x80\x02.", "damaged"),
        (b"", "damaged"),
        (one_tensor("2", "1", 0, 6)[:-9], "damaged"),
    ],
)
def test_tensors_that_cannot_be_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=rf"w\.pt.*{message}"):
        read_torchscript(write_one_tensor(tmp_path / "w.pt", content))


def test_modules_within_themselves_are_refused(tmp_path: Path) -> None:
    itself = b"\x80\x02c__torch__\nM\n)\x81q\x00}(X\x01\x00\x00\x00ah\x00ub."
    twice = b"c__torch__\nM\n)\x81"
    for depth in range(60):  # each module holds the one inside it twice: 2^60 names
        position = bytes([depth])
        inside = b"X\x01\x00\x00\x00a" + twice + b"q" + position + b"X\x01\x00\x00\x00bh" + position
        twice = b"c__torch__\nM\n)\x81}(" + inside + b"ub"
    for content in (itself, b"\x80\x02" + twice + b"."):
        with pytest.raises(CheckpointError, match="modules within themselves"):
            read_torchscript(write_one_tensor(tmp_path / "w.pt", content))


def test_members_that_are_not_what_they_seem_are_refused(archive: Path, tmp_path: Path) -> None:
    target = tmp_path / "odd.pt"
    for changes, message in (
        ({"other/data.pkl": b""}, "one folder"),
        ({"model/../../evil": b""}, "one folder"),
        ({"model/byteorder": b"big"}, "byte order"),
        ({"model/data.pkl": None}, r"no data\.pkl"),
        ({"model/data/0": None}, "'0' that it does not hold"),
        ({"model/data/0": b"short"}, "has 5 bytes"),
    ):
        with pytest.raises(CheckpointError, match=message):
            read_torchscript(rezip(archive, target, changes))
    with pytest.raises(CheckpointError, match="compressed"):
        read_torchscript(rezip(archive, target, {}, zipfile.ZIP_DEFLATED))
    rezip(archive, target, {})
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(target, "a") as content:
        content.writestr("model/data.pkl", b"")
    with pytest.raises(CheckpointError, match="two members"):
        read_torchscript(target)


def test_members_that_claim_more_than_the_file_holds_are_refused(archive: Path, tmp_path: Path) -> None:
    """Directory entries that all point at the same bytes, as in a zip bomb."""
    target = rezip(archive, tmp_path / "bomb.pt", {"model/data/0": bytes(60_000)})
    with zipfile.ZipFile(target, "a") as content:
        first = content.getinfo("model/data/0")
        for number in range(100, 110):
            copy = zipfile.ZipInfo(f"model/data/{number}")
            copy.header_offset, copy.CRC = first.header_offset, first.CRC
            copy.file_size = copy.compress_size = first.file_size
            content.filelist.append(copy)
        content._didModify = True
    with pytest.raises(CheckpointError, match="more bytes than the file has"):
        read_torchscript(target)


def test_damaged_archive_is_reported(archive: Path, tmp_path: Path) -> None:
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as members:
        place = members.getinfo("model/data.pkl").header_offset + 200
    content[place] ^= 255
    (tmp_path / "flipped.pt").write_bytes(content)
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    for name in ("flipped.pt", "cut.pt", "none.pt"):
        with pytest.raises(CheckpointError, match=name):
            read_torchscript(tmp_path / name)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_pickle_gives_tensors_or_one_kind_of_error(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(one_tensor("2 2", "1 2", 2, 6))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = write_one_tensor(tmp_path / "w.pt", bytes(content))
    try:
        found = read_torchscript(path)
    except CheckpointError:
        return
    assert all(value.numel() <= 6 for value in found.values())
