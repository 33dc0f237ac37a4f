import io
import lzma
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from litekiln.errors import BrokenArchive, DiskFull, SourceError, UnsafeArchive
from litekiln.formats import archives as unpacking
from litekiln.formats import zips
from litekiln.formats.archives import top_folder, unpack
from litekiln.formats.tflite_metadata import read_packed
from litekiln.sources.keras_file import is_keras, read_keras

Member = tuple[str, bytes]
GOOD: list[Member] = [("model/pipeline.config", b"model {}"), ("model/ckpt/ckpt-0.index", b"\0" * 600), ("model/empty", b"")]


def _tar(path: Path, members: list[Member] = GOOD, how: str = "w:gz", **fields: object) -> Path:
    with tarfile.open(path, how) as package:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            for field, value in fields.items():
                setattr(entry, field, value)
            package.addfile(entry, io.BytesIO(content))
    return path


def _zip(path: Path, members: list[Member] = GOOD, mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in members:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = mode << 16
            package.writestr(entry, content)
    return path


def _refused(archive: Path, kind: type[SourceError], *words: str) -> SourceError:
    """Unpack, and see that it is refused with these words and leaves nothing."""
    before = sorted(archive.parent.iterdir())
    with pytest.raises(kind) as caught:
        unpack(archive, archive.parent / "target")
    for word in (archive.name, *words):
        assert word in caught.value.what
    assert caught.value.cause
    assert caught.value.remedy
    assert sorted(archive.parent.iterdir()) == before
    return caught.value


def _content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.bz2", "w:bz2"), ("a.tar.xz", "w:xz")]
)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar(tmp_path: Path, name: str, mode: str, form: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarfile.TarFile, "format", form)
    long_name = "/".join(["model", "é" * 20, "x" * 90, "variables"])
    archive = _tar(tmp_path / name, [*GOOD, (long_name, b"long")], mode)
    assert unpack(archive, tmp_path / "deep" / "target") == tmp_path / "deep" / "target"
    assert _content(tmp_path / "deep" / "target") == {**dict(GOOD), long_name: b"long"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["target"]


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", kind) as package:
        package.writestr("model/", b"")
        for name, content in GOOD:
            package.writestr(name, content)
    assert _content(unpack(tmp_path / "a.zip", tmp_path / "target")) == dict(GOOD)


def test_what_real_tools_pack(tmp_path: Path) -> None:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "sub" / "weights").write_bytes(bytes(range(256)) * 100)
    subprocess.run(["tar", "czf", "a.tar.gz", "./model"], cwd=tmp_path, check=True)
    target = unpack(tmp_path / "a.tar.gz", tmp_path / "target")
    assert _content(target) == {"model/sub/weights": bytes(range(256)) * 100}


def test_modes_and_owners_are_not_kept(tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        tar = unpack(_tar(tmp_path / "a.tar.gz", mode=0o6777, uid=12345, gid=12345), tmp_path / "from tar")
        package = unpack(_zip(tmp_path / "a.zip", mode=stat.S_IFREG | 0o4777), tmp_path / "from zip")
    finally:
        os.umask(mask)
    for target in (tar, package):
        for path in (target, *target.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path
            assert path.stat().st_uid == os.getuid()


OUTSIDE = [
    ("../evil", "a path that leaves its folder"),
    ("model/../../evil", "a path that leaves its folder"),
    ("/tmp/evil", "an absolute path"),
    ("//tmp/evil", "an absolute path"),
    ("..\\evil", "a name that some systems do not accept"),
    ("C:\\evil", "a name that some systems do not accept"),
    ("new\nline", "a name that some systems do not accept"),
    ("x" * 300, "a name that some systems do not accept"),
    ("a/" * 2000 + "x", "a name that some systems do not accept"),
]


@pytest.mark.parametrize(("name", "words"), OUTSIDE)
def test_a_name_that_leads_elsewhere(tmp_path: Path, name: str, words: str) -> None:
    _refused(_tar(tmp_path / "a.tar.gz", [*GOOD, (name, b"evil")]), UnsafeArchive, repr(name), words)
    _refused(_zip(tmp_path / "a.zip", [*GOOD, (name, b"evil")]), UnsafeArchive, repr(name), words)


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    _refused(_tar(tmp_path / "a.tar.gz", [("caf\udce9", b"")]), UnsafeArchive, r"'caf\udce9'", "some systems")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_links_and_devices_in_a_tar(tmp_path: Path, kind: bytes, words: str) -> None:
    archive = _tar(tmp_path / "a.tar.gz", [("model/odd", b"")], type=kind, linkname="model/pipeline.config")
    _refused(archive, UnsafeArchive, "'model/odd'", words)


@pytest.mark.parametrize(("kind", "words"), [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "a device"), (stat.S_IFCHR, "a device")])
def test_links_and_devices_in_a_zip(tmp_path: Path, kind: int, words: str) -> None:
    _refused(_zip(tmp_path / "a.zip", [("model/odd", b"/etc/passwd")], mode=kind | 0o777), UnsafeArchive, "'model/odd'", words)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("model/x", "twice"),
        ("./model/x", "twice"),
        ("model//x", "twice"),
        ("model/x/y", "a file and a folder at once"),
        ("model", "twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice(tmp_path: Path, second: str, words: str) -> None:
    members = [("model/x", b"one"), (second, b"two")]
    _refused(_tar(tmp_path / "a.tar.gz", members), UnsafeArchive, repr(second), words)
    _refused(_zip(tmp_path / "a.zip", members), UnsafeArchive, repr(second), words)


def test_a_file_without_a_name(tmp_path: Path) -> None:
    _refused(_tar(tmp_path / "a.tar.gz", [("./", b"x")]), UnsafeArchive, "'./'", "a file without a name")


def test_a_bomb_by_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = [("zeros", bytes(3 << 20))]
    tar, package = _tar(tmp_path / "a.tar.gz", zeros), _zip(tmp_path / "a.zip", zeros)
    unpack(tar, tmp_path / "good")
    monkeypatch.setattr(unpacking, "FREE_BYTES", 100_000)
    for archive in (tar, package):
        limit = 200 * archive.stat().st_size + 100_000
        _refused(archive, UnsafeArchive, f"unpacks to more than {limit} bytes")


def test_a_bomb_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_BYTES", 5000)
    noise = [(str(number), random.Random(number).randbytes(1000)) for number in range(6)]
    _refused(_tar(tmp_path / "a.tar.gz", noise), UnsafeArchive, "unpacks to more than 5000 bytes")
    _refused(_zip(tmp_path / "a.zip", noise), UnsafeArchive, "unpacks to more than 5000 bytes")


@pytest.mark.parametrize(
    "names",
    [[str(number) for number in range(11)], ["/".join("abcdefghijk")], ["a/", "b/c", *"defghijk"], [f"{n}/" for n in range(11)]],
)
def test_a_bomb_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    members = [(name, b"") for name in names]
    tar, package = _tar(tmp_path / "a.tar.gz", members), _zip(tmp_path / "a.zip", members)
    monkeypatch.setattr(unpacking, "MOST_ENTRIES", 10)
    _refused(tar, UnsafeArchive, "holds more than 10 files and folders")
    _refused(package, UnsafeArchive, "holds more than 10 files and folders")


def test_a_bomb_in_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tarfile alone would take the whole name into memory before anybody could look at its length."""
    archive = _tar(tmp_path / "a.tar.gz", [*GOOD, ("x" * (4 << 20), b"")])
    monkeypatch.setattr(unpacking, "HEADER_BYTES", 100_000)
    _refused(archive, UnsafeArchive, "holds an endless header")


def test_a_sparse_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hole costs nothing in the archive, not even before it is compressed."""
    with (tmp_path / "holes").open("wb") as stream:
        stream.truncate(3 << 20)
    subprocess.run(["tar", "cSf", "a.tar", "holes"], cwd=tmp_path, check=True)
    assert (tmp_path / "a.tar").stat().st_size < 20_000
    monkeypatch.setattr(unpacking, "MOST_RATIO", 1)
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 20)
    _refused(tmp_path / "a.tar", UnsafeArchive, "unpacks to more than")


def _zip_that_says(path: Path, size: int) -> Path:
    data = bytearray(_zip(path, [("x", bytes(100_000))]).read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = struct.pack("<I", size)
    path.write_bytes(data)
    return path


def test_a_zip_that_says_it_is_smaller_than_it_is(tmp_path: Path) -> None:
    _refused(_zip_that_says(tmp_path / "a.zip", 10), BrokenArchive, "damaged or cut off")


def test_what_a_zip_says_about_its_size_is_not_what_counts(tmp_path: Path) -> None:
    target = unpack(_zip_that_says(tmp_path / "a.zip", 0xFFFFFFFE), tmp_path / "target")
    assert _content(target) == {"x": bytes(100_000)}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.999])
def test_a_cut_off_tar(tmp_path: Path, mode: str, share: float) -> None:
    archive = _tar(tmp_path / "a.tar", [(str(number), random.Random(number).randbytes(40_000)) for number in range(4)], mode)
    data = archive.read_bytes()
    if mode == "w":
        data = data.rstrip(b"\0")  # the end mark itself is long
    archive.write_bytes(data[: int(len(data) * share)])
    _refused(archive, BrokenArchive, "is damaged or cut off")


def test_a_tar_cut_off_between_two_files(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "a.tar", [("one", bytes(512)), ("two", bytes(512))], "w")
    archive.write_bytes(archive.read_bytes()[:1024])
    _refused(archive, BrokenArchive, "is damaged or cut off: empty header")


def test_a_tar_with_a_damaged_header_in_the_middle(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "a.tar", [("one", bytes(512)), ("two", bytes(512))], "w")
    data = bytearray(archive.read_bytes())
    data[1024] ^= 1
    archive.write_bytes(data)
    _refused(archive, BrokenArchive, "bad checksum")


def test_a_tar_with_a_size_below_zero(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("x")
    entry.size = -1
    (tmp_path / "a.tar").write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    _refused(tmp_path / "a.tar", BrokenArchive, "negative size")


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_off_zip(tmp_path: Path, share: float) -> None:
    archive = _zip(tmp_path / "a.zip", [("x", random.Random(0).randbytes(10_000))])
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * share)])
    _refused(archive, BrokenArchive, "damaged or cut off")


@pytest.mark.parametrize("pack", [_tar, _zip])
def test_damaged_content(tmp_path: Path, pack: Callable[..., Path]) -> None:
    archive = pack(tmp_path / "a", [("x", random.Random(0).randbytes(10_000))])
    data = bytearray(archive.read_bytes())
    data[5000] ^= 0xFF
    archive.write_bytes(data)
    _refused(archive, BrokenArchive, "damaged or cut off")


@pytest.mark.parametrize("content", [b"", b"<html>log in first</html>", b"PK", random.Random(0).randbytes(3000)])
def test_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    assert "web page" in _refused(tmp_path / "a.tar.gz", BrokenArchive, "is not a tar or zip archive").cause


def test_an_archive_without_files(tmp_path: Path) -> None:
    _refused(_tar(tmp_path / "a.tar.gz", []), BrokenArchive, "holds no files")
    _refused(_zip(tmp_path / "a.zip", [("folder/", b"")]), BrokenArchive, "holds no files")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", [("secret", b"x")])
    data = bytearray(archive.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + flags] |= 1
    archive.write_bytes(data)
    assert "'secret'" in _refused(archive, BrokenArchive, "protected by a password").cause


def test_a_python_without_lzma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = _tar(tmp_path / "a.tar.xz", how="w:xz")
    monkeypatch.setitem(sys.modules, "lzma", None)
    assert "built without lzma" in _refused(archive, BrokenArchive, "this Python").cause


def test_many_damaged_archives_end_in_an_error_of_litekilns(tmp_path: Path) -> None:
    chance = random.Random(7)
    good = [_tar(tmp_path / "a.tar", how="w"), _tar(tmp_path / "a.tar.gz"), _zip(tmp_path / "a.zip")]
    for number in range(300):
        data = bytearray(chance.choice(good).read_bytes())
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(min(len(data), 3000))] = chance.randrange(256)
        (tmp_path / "damaged").write_bytes(data)
        try:
            unpack(tmp_path / "damaged", tmp_path / f"target{number}")
        except SourceError:
            assert not (tmp_path / f"target{number}").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    archive = _tar(tmp_path / "a.tar.gz")
    monkeypatch.setattr(unpacking._Sink, "add_file", full)
    with pytest.raises(DiskFull):
        unpack(archive, tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(FileExistsError):
        unpack(_tar(tmp_path / "a.tar.gz"), tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


KILLED = """
import signal, sys, time
from pathlib import Path
from litekiln.formats import archives as unpack
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job lacks
original = unpack._Sink.add_file
def slow(self, name, content):
    original(self, name, content)
    print(name, flush=True)
    time.sleep(60)
unpack._Sink.add_file = slow
unpack.unpack(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_half_way_there_is_no_target(tmp_path: Path, number: int) -> None:
    archive = _tar(tmp_path / "a.tar.gz")
    argv = [sys.executable, "-c", KILLED, str(archive), str(tmp_path / "target")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout
        assert child.stdout.readline() == b"model/pipeline.config\n"
        child.send_signal(number)
    assert not (tmp_path / "target").exists()
    if number == signal.SIGINT:
        assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]
    unpack(archive, tmp_path / "target")
    assert _content(tmp_path / "target") == dict(GOOD)


@pytest.mark.parametrize(
    ("names", "top"),
    [
        (["model/a", "model/b"], "model"),
        (["model/a", "__MACOSX/model/._a", "._model"], "model"),
        (["model/a", "README"], ""),
        (["one/a", "two/b"], ""),
        (["saved_model.pb"], ""),
    ],
)
def test_the_top_folder(tmp_path: Path, names: list[str], top: str) -> None:
    target = unpack(_tar(tmp_path / "a.tar.gz", [(name, b"") for name in names]), tmp_path / "target")
    assert top_folder(target) == target / top


def _crowd(count: int, *, says: int | None = None, wide: bool = False) -> bytes:
    """A zip's directory of so many entries, and its end. `says` is the number in the end; `wide` makes it a zip64's."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * count
    said = count if says is None else says
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, said & 0xFFFF, said & 0xFFFF, len(directory), 0, 0)
    if wide:
        end = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, said, said, len(directory), 0)
        end += struct.pack("<4sIQI", b"PK\x06\x07", 0, len(directory), 1)
        end += struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return directory + end


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("comment", [b"", b"a comment"])
@pytest.mark.parametrize("says", [None, 1])
def test_a_zip_of_too_many_entries_is_refused_before_its_directory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: int | None, comment: bytes, wide: bool
) -> None:
    """Whatever its end says about their number."""
    made: list[str] = []
    original = zipfile.ZipInfo.__init__

    def counted(self: zipfile.ZipInfo, name: str = "", *rest: object) -> None:
        made.append(name)
        original(self, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(zipfile.ZipInfo, "__init__", counted)
    data = _crowd(unpacking.MOST_ENTRIES + 1, says=says, wide=wide)
    data = data[:-2] + struct.pack("<H", len(comment)) + comment
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04" + data)
    _refused(tmp_path / "a.zip", UnsafeArchive, f"holds more than {unpacking.MOST_ENTRIES} files and folders")
    assert made == []


def test_a_zip_with_a_huge_directory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    size = zips.LARGEST_DIRECTORY + 1
    with (tmp_path / "a.zip").open("wb") as stream:
        stream.write(b"PK\x03\x04")
        stream.truncate(4 + size)  # takes no room on the disk
        stream.seek(4 + size)
        stream.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, size, 4, 0))
    _refused(tmp_path / "a.zip", UnsafeArchive, f"has a directory of {size} bytes")


def test_a_keras_file_whose_compression_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as package:
        package.writestr("metadata.json", b"{}" * 50)
        package.writestr("config.json", b"{}")
    data = path.read_bytes()
    start = data.index(b"metadata.json") + len("metadata.json") + 9  # behind the sizes and options of LZMA
    path.write_bytes(data[:start] + b"\xff" * 9 + data[start + 9 :])
    with pytest.raises(SourceError, match="is not a Keras model, or is damaged"):
        read_keras(path)


def test_a_keras_file_and_packed_metadata_have_the_same_limit(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"PK\x03\x04" + _crowd(unpacking.MOST_ENTRIES + 1))
    assert not is_keras(path)
    with pytest.raises(SourceError, match=f"it holds more than {unpacking.MOST_ENTRIES} files and folders"):
        read_keras(path)
    with path.open("rb") as stream:
        assert read_packed(stream).names == []


def test_an_xz_of_several_streams_and_one_that_is_cut_off(tmp_path: Path) -> None:
    whole = _tar(tmp_path / "a.tar", how="w").read_bytes()
    streams = [lzma.compress(whole[:700]), b"\0" * 8, lzma.compress(whole[700:]), b"\0" * 4]
    (tmp_path / "a.tar.xz").write_bytes(b"".join(streams))
    assert _content(unpack(tmp_path / "a.tar.xz", tmp_path / "whole")) == dict(GOOD)
    (tmp_path / "b.tar.xz").write_bytes(b"".join(streams)[:-20])
    _refused(tmp_path / "b.tar.xz", BrokenArchive, "is damaged or cut off")


def test_an_xz_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    data = bytearray(lzma.compress(_tar(tmp_path / "a.tar", how="w").read_bytes()))
    header = slice(12, 12 + (data[12] + 1) * 4 - 4)
    data[16] = 36  # the window: 1 GB
    data[header.stop : header.stop + 4] = struct.pack("<I", zlib.crc32(data[header]))
    (tmp_path / "a.tar.xz").write_bytes(data)
    _refused(tmp_path / "a.tar.xz", UnsafeArchive, "needs more than 256 MB of memory to be unpacked")


def test_a_zip_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as package:
        package.writestr("model.bin", b"abc" * 100)
    data = path.read_bytes()
    window = data.index(b"model.bin") + len("model.bin") + 5
    path.write_bytes(data[:window] + struct.pack("<I", 1 << 30) + data[window + 4 :])
    _refused(path, UnsafeArchive, "needs more than 256 MB of memory to be unpacked")


@pytest.mark.parametrize("make", [lambda path: _tar(path / "a.tar.gz"), lambda path: _zip(path / "a.zip")])
def test_a_stop_ends_unpacking(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    archive, asked = make(tmp_path), iter([False, False, False])
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "target", lambda: next(asked, True))
    assert list(tmp_path.iterdir()) == [archive]
