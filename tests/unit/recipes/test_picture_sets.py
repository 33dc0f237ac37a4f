import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from litekiln import hashing
from litekiln.errors import CalibrationError, LitekilnError, RecipeError, UsageError
from litekiln.formats.label_map import read_labels
from litekiln.hashing import FileHashes, sha256_file
from litekiln.paths import Project
from litekiln.recipes.picture_sets import SUFFIXES, Picture, SetFile, choose, from_folder, load_set, set_names
from litekiln.recipes.pins import Archive, FirstUse, Pinned, Remote, record_first_use
from litekiln.recipes.recipe import load_recipe, recipe_names
from litekiln.toml_files import load_table

ADDRESS = "https://litekiln.invalid/pictures.zip"
FETCHED = f'url = "{ADDRESS}"\nsha256 = "first-use"\npinned = "list"\n'


def write_set(project: Project, text: str, name: str = "photos") -> Path:
    folder = project.calib / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "set.toml").write_text(text, encoding="utf-8")
    return folder


def draw(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    return folder


def numbered(count: int) -> list[str]:
    return [f"{number:04d}.jpg" for number in range(count)]


# A set's file


def _refusal(project: Project, name: str = "photos") -> LitekilnError:
    with pytest.raises(LitekilnError) as caught:
        load_set(project, name)
    assert caught.value.remedy
    return caught.value


def test_an_unknown_set_is_refused_with_the_nearest_name(project: Project) -> None:
    write_set(project, 'folder = "."', "coco/eval")
    error = _refusal(project, "coco/evil")
    assert isinstance(error, UsageError)
    assert error.what == "unknown picture set 'coco/evil', did you mean 'coco/eval'?"
    assert error.remedy == "or give a folder of pictures: --calib DIR"
    assert _refusal(project, "x").what == "unknown picture set 'x', there is: coco/eval"


def test_without_any_set_it_says_so(project: Project) -> None:
    assert _refusal(project).what == "unknown picture set 'photos', there is: none"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("count = 5", "folder: give one of folder (of pictures), generator (a Python file) and url (an archive)"),
        (
            'folder = "a"\ngenerator = "b"',
            "folder: give one of folder (of pictures), generator (a Python file) and url (an archive)",
        ),
        (FETCHED + 'folder = "a"', "folder: give one of folder (of pictures), generator (a Python file) and url (an archive)"),
        (
            f'url = "{ADDRESS}"\nsha256 = "first-use"',
            "pinned: missing; it names a list of the archive's pictures: sha256, bytes and path, one picture per line",
        ),
        (FETCHED.replace("https", "http"), "url: expected an https address, got 'http://litekiln.invalid/pictures.zip'"),
        (
            FETCHED.replace("sha256", "# "),
            "sha256: give sha256 or sha384 of the archive, or sha256 = 'first-use' if nobody publishes one",
        ),
        (
            FETCHED + f'sha384 = "{"a" * 96}"',
            "sha256: give sha256 or sha384 of the archive, or sha256 = 'first-use' if nobody publishes one",
        ),
        (FETCHED.replace("first-use", "abc"), "sha256: expected 64 hex digits, got 'abc'"),
        (FETCHED.replace('sha256 = "first-use"', 'sha384 = "abc"'), "sha384: expected 96 hex digits, got 'abc'"),
        ('folder = "."\ncount = 0', "count: expected int >= 1"),
        ('folder = "."\ncount = 1000000000', "count: expected int <= 100000"),
        ('folder = "."\nseed = -1', "seed: expected int >= 0"),
        ('folder = "."\nseed = nan', "seed: expected a number, got nan"),
        ('folder = "."\nfolders = "."', "folders: unknown key, did you mean 'folder'?"),
    ],
)
def test_a_set_file_that_cannot_be_right(project: Project, text: str, what: str) -> None:
    draw(write_set(project, text), "list")
    error = _refusal(project)
    assert isinstance(error, RecipeError)
    assert error.what == f"calib/photos/set.toml: {what}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('folder = "pictures"', "folder: no 'pictures' in calib/photos/"),
        ('generator = "draw.py"', "generator: no 'draw.py' in calib/photos/"),
        (FETCHED, "pinned: no 'list' in calib/photos/"),
    ],
)
def test_what_a_set_names_has_to_be_there(project: Project, text: str, what: str) -> None:
    write_set(project, text)
    error = _refusal(project)
    assert isinstance(error, RecipeError)
    assert error.what == f"calib/photos/set.toml: {what}"


@pytest.mark.parametrize(
    "line",
    [
        "abc 5 a.jpg",
        f"{'g' * 64} 5 a.jpg",
        f"{'a' * 64} ² a.jpg",
        f"{'a' * 64} five a.jpg",
        f"{'a' * 64} -5 a.jpg",
        f"{'a' * 64} 5",
        f"{'a' * 64}  a.jpg 5",
        "  ",
    ],
)
def test_a_malformed_line_of_pins_is_shown(project: Project, line: str) -> None:
    folder = write_set(project, FETCHED)
    (folder / "list").write_text(f"# sha256 bytes path\n{'a' * 64} 5 a.jpg\n{line}\n")
    with pytest.raises(RecipeError) as caught:
        load_set(project, "photos").pinned()
    assert caught.value.what == f"calib/photos/list: expected sha256, bytes and path, got {line!r}"
    assert caught.value.remedy == "fix that line"


@pytest.mark.parametrize("content", [b"\xe7", None])
def test_a_list_of_pins_that_is_no_text(project: Project, content: bytes | None) -> None:
    listed = write_set(project, FETCHED) / "list"
    listed.mkdir() if content is None else listed.write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        load_set(project, "photos").pinned()
    where = "calib/photos/set.toml: pinned: no 'list' in calib/photos/" if content is None else "calib/photos/list: not a text"
    assert caught.value.what.startswith(where)
    assert caught.value.remedy


def test_pins_are_read_with_spaces_in_their_paths(project: Project) -> None:
    folder = write_set(project, FETCHED)
    (folder / "list").write_text(f"# comment\n\n{'a' * 64} 5 a.jpg\n{'b' * 64}  17  my pictures/b 1.jpg\n")
    pinned = load_set(project, "photos").pinned()
    assert pinned == [Picture("a" * 64, 5, "a.jpg"), Picture("b" * 64, 17, "my pictures/b 1.jpg")]


# The choice


@pytest.mark.parametrize("count", [0, 9])
def test_fewer_than_ten_pictures_are_refused(tmp_path: Path, count: int) -> None:
    folder = draw(tmp_path / "few", "notes.txt", *numbered(count))
    with pytest.raises(CalibrationError) as caught:
        choose(folder, 500, 0)
    assert caught.value.exit_code == 11
    assert caught.value.what == f"{folder} has {count} pictures, but calibration needs at least 10"
    assert caught.value.cause == "looked for .bmp .gif .jpeg .jpg .png .tif .tiff .webp in it and in its folders"
    assert caught.value.remedy == "give 100 or more pictures of what the model will see: --calib DIR"


@pytest.mark.parametrize(
    ("names", "held", "remedy"),
    [
        (["a.HEIC", "b.heic", "c.mp4"], "2 .heic, 1 .mp4", "convert them to JPEG: `mogrify -format jpg *.heic` (ImageMagick)"),
        (["a.avif"], "1 .avif", "convert them to JPEG: `mogrify -format jpg *.avif` (ImageMagick)"),
        (["way.mp4"], "1 .mp4", "save some of their frames: `ffmpeg -i FILE.mp4 -vf fps=1 %04d.jpg`"),
        (["a.CR2"], "1 .cr2", "export them as JPEG with the program that opens them"),
    ],
)
def test_pictures_of_formats_that_are_not_read_are_named(tmp_path: Path, names: list[str], held: str, remedy: str) -> None:
    with pytest.raises(CalibrationError) as caught:
        choose(draw(tmp_path, "notes.txt", "in/0.jpg", *names), 500, 0)
    assert caught.value.what == f"{tmp_path} has 1 pictures, but calibration needs at least 10"
    assert caught.value.cause.endswith(f" in it and in its folders; it also has files that are not read: {held}")
    assert caught.value.remedy == remedy


def test_ten_are_enough(tmp_path: Path) -> None:
    assert choose(draw(tmp_path, *numbered(10)), 500, 0) == numbered(10)


def test_pictures_are_known_by_their_suffix_in_any_case_and_any_folder(tmp_path: Path) -> None:
    names = [f"{number}{suffix}" for number, suffix in enumerate(SUFFIXES)]
    names += [f"A{suffix.upper()}" for suffix in SUFFIXES] + ["deep/er/Still.JPeG"]
    draw(tmp_path, *names, "no.txt", "jpg", "deep/no.json", ".hidden/no.jpgx")
    (tmp_path / "a folder.jpg").mkdir()
    assert choose(tmp_path, 500, 0) == sorted(names)


def test_of_more_the_same_are_taken_each_time(tmp_path: Path) -> None:
    folder = draw(tmp_path, *numbered(60))
    chosen = choose(folder, 20, 7)
    assert len(set(chosen)) == 20
    assert chosen == sorted(chosen)
    assert chosen == choose(folder, 20, 7)
    assert chosen != choose(folder, 20, 8)
    assert choose(folder, 60, 7) == choose(folder, 61, 8) == numbered(60)


def test_the_choice_is_the_names_and_not_the_folders(tmp_path: Path) -> None:
    one, two = draw(tmp_path / "one", *numbered(40)), draw(tmp_path / "two", *reversed(numbered(40)))
    assert choose(one, 15, 3) == choose(two, 15, 3)


def test_a_sets_pictures_are_chosen_as_its_file_says(project: Project) -> None:
    folder = write_set(project, 'folder = "pictures"\ncount = 12\nseed = 4')
    draw(folder / "pictures", *numbered(30))
    assert load_set(project, "photos").pictures() == choose(folder / "pictures", 12, 4)


def test_a_folder_of_the_command_line_is_a_set(tmp_path: Path) -> None:
    found = from_folder(draw(tmp_path / "holiday", *numbered(11)))
    assert (found.name, found.spec, found.pictures()) == ("holiday", SetFile(folder="holiday"), numbered(11))


# Pins and first use


def _archive(sha256: str = "c" * 64, size: int = 77) -> Archive:
    return Archive(Path("somewhere.zip"), sha256, size, "an address")


def test_a_first_use_is_recorded_and_holds_later_downloads(tmp_path: Path) -> None:
    source = Pinned(url=ADDRESS, sha256="first-use")
    assert (source.remote(tmp_path).digest, source.remote(tmp_path).size) == ("", None)
    lock = record_first_use(tmp_path, ADDRESS, _archive())
    assert lock == tmp_path / "source.lock"
    assert load_table(lock, FirstUse, shown_as="it") == FirstUse(url=ADDRESS, sha256="c" * 64, size=77)
    remote = source.remote(tmp_path)
    assert (remote.url, remote.digest, remote.size) == (ADDRESS, f"sha256:{'c' * 64}", 77)
    assert [path.name for path in tmp_path.iterdir()] == ["source.lock"]


def test_what_another_address_had_holds_nothing(tmp_path: Path) -> None:
    record_first_use(tmp_path, ADDRESS + "?v=1", _archive())
    remote = Pinned(url=ADDRESS, sha256="first-use", size=5).remote(tmp_path)
    assert (remote.digest, remote.size) == ("", 5)


@pytest.mark.parametrize(("algorithm", "length"), [("sha256", 64), ("sha384", 96)])
def test_a_published_hash_comes_before_a_recorded_one(tmp_path: Path, algorithm: str, length: int) -> None:
    record_first_use(tmp_path, ADDRESS, _archive())
    source = SetFile(url=ADDRESS, pinned="list", size=9, **{algorithm: "d" * length})
    assert (source.remote(tmp_path).digest, source.remote(tmp_path).size) == (f"{algorithm}:{'d' * length}", 9)


def test_a_record_that_was_spoilt_is_shown(tmp_path: Path) -> None:
    record_first_use(tmp_path / ".", ADDRESS, _archive())
    (tmp_path / "source.lock").write_text(f'url = "{ADDRESS}"\n')
    with pytest.raises(RecipeError) as caught:
        Pinned(url=ADDRESS, sha256="first-use").remote(tmp_path)
    shown = f"{tmp_path.parent.name}/{tmp_path.name}/source.lock"
    assert caught.value.what == f"{shown}: sha256: missing\n{shown}: size: missing"


def test_a_record_holds_no_secret_and_is_of_one_address(tmp_path: Path) -> None:
    secret = "https://me:passw0rd@litekiln.invalid/pictures.zip?token=hidden"
    lock = record_first_use(tmp_path, secret, _archive())
    written = lock.read_text()
    assert 'url = "https://litekiln.invalid/pictures.zip"\n' in written
    assert not any(word in written for word in ("passw0rd", "hidden", "me:"))
    shown = f"{tmp_path.parent.name}/{tmp_path.name}/source.lock"
    assert Pinned(url=secret, sha256="first-use").remote(tmp_path) == Remote(secret, f"sha256:{'c' * 64}", 77, shown)
    for other in (secret.replace("hidden", "other"), "https://litekiln.invalid/pictures.zip"):
        assert Pinned(url=other, sha256="first-use").remote(tmp_path).digest == ""


def test_a_record_is_written_through_no_link(tmp_path: Path) -> None:
    """A model's folder may come from somebody else, with links to the user's files."""
    (tmp_path / "model").mkdir()
    mine = tmp_path / "profile"
    mine.write_text("mine")
    for name in ("source.lock", "source.new"):
        (tmp_path / "model" / name).symlink_to(mine)
    record_first_use(tmp_path / "model", ADDRESS, _archive())
    assert mine.read_text() == "mine"
    assert Pinned(url=ADDRESS, sha256="first-use").remote(tmp_path / "model").size == 77


def test_a_record_of_an_old_litekiln_holds(tmp_path: Path) -> None:
    """It has the whole address."""
    for address in (ADDRESS, ADDRESS + "?token=x"):
        (tmp_path / "source.lock").write_text(f'# …\nurl = "{address}"\nsha256 = "{"c" * 64}"\nsize = 77\n')
        assert Pinned(url=address, sha256="first-use").remote(tmp_path).digest == f"sha256:{'c' * 64}"


def test_a_wrong_address_is_shown_without_its_secrets() -> None:
    with pytest.raises(ValueError, match=r"expected an https address, got 'http://litekiln\.invalid/a\.zip'"):
        Pinned(url="http://me:secret@litekiln.invalid/a.zip?token=hidden", sha256="first-use").check_pin()


# What this repository has


@pytest.fixture(scope="module")
def own() -> Project:
    root = Path(__file__).resolve().parents[3]
    return Project(code=root, work=root)


def test_coco128_is_128_pictures(own: Project) -> None:
    pinned = load_set(own, "coco128").pinned()
    assert (len(pinned), sum(picture.size for picture in pinned)) == (128, 6_930_964)
    assert len({picture.sha256 for picture in pinned}) == len({picture.path for picture in pinned}) == 128
    assert all(picture.path.lower().endswith(SUFFIXES) for picture in pinned)


def test_every_set_loads(own: Project) -> None:
    assert {"coco128", "shapes", "shapes/eval"} <= set(set_names(own))
    for name in set_names(own):
        assert load_set(own, name).name == name


def test_every_recipe_loads_with_its_sets_and_labels(own: Project) -> None:
    assert {"shapes", "ssd_mobilenet_v2_320", "ssd_mobilenet_v2_fpnlite_320"} <= set(recipe_names(own))
    for name in recipe_names(own):
        spec = load_recipe(own, name).spec
        for used in filter(None, (spec.calibration, spec.evaluation)):
            assert load_set(own, used.set).spec.license
        for toolchain in filter(None, (spec.export.toolchain, *spec.convert.toolchains)):
            assert (own.toolchains / toolchain / "toolchain.toml").is_file()
        assert read_labels(load_recipe(own, name).labels).warnings == []


@pytest.mark.parametrize("name", ["ssd_mobilenet_v2_320", "ssd_mobilenet_v2_fpnlite_320", "ssd_mobilenet_v2_fpnlite_640"])
def test_the_zoos_models_have_cocos_labels(own: Project, name: str) -> None:
    recipe = load_recipe(own, name)
    labels = read_labels(recipe.labels)
    assert (labels.class_count, len(labels.names)) == (90, 80)
    assert (labels.names[0], labels.names[89], labels.as_lines()[11]) == ("person", "toothbrush", "???")
    assert recipe.spec.source.url.startswith("https://download.tensorflow.org/models/object_detection/tf2/20200711/")


# Hashes kept between runs


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read to hash them."""
    names: list[str] = []

    def counted(path: Path) -> str:
        names.append(path.name)
        return sha256_file(path)

    monkeypatch.setattr(hashing, "sha256_file", counted)
    monkeypatch.setattr(hashing, "CLOCK_STEP", 0)
    return names


def _hash(state: Path, path: Path) -> str:
    """As a run of its own does."""
    kept = FileHashes(state)
    digest = kept.sha256(path)
    kept.save()
    return digest


def test_a_file_is_read_once(tmp_path: Path, read: list[str]) -> None:
    one, two = draw(tmp_path, "1.jpg", "2.jpg") / "1.jpg", tmp_path / "2.jpg"
    (tmp_path / "state").mkdir()
    assert [_hash(tmp_path / "state", one) for _ in range(3)] == [sha256_file(one)] * 3
    assert _hash(tmp_path / "state", two) == sha256_file(two)
    assert _hash(tmp_path / "state", one) == sha256_file(one)
    assert read == ["1.jpg", "2.jpg"]


def test_a_file_that_has_just_changed_is_read_again(tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A second change within one step of the system's clock would leave all its times as they are."""
    monkeypatch.setattr(hashing, "CLOCK_STEP", 3600 * 10**9)
    one = draw(tmp_path, "1.jpg") / "1.jpg"
    (tmp_path / "state").mkdir()
    kept = FileHashes(tmp_path / "state")
    assert [kept.sha256(one) for _ in range(2)] == [sha256_file(one)] * 2
    kept.save()
    assert _hash(tmp_path / "state", one) == sha256_file(one)
    assert read == ["1.jpg", "1.jpg"]


def test_a_project_without_a_state_folder_gets_none(tmp_path: Path, read: list[str]) -> None:
    """A dry run leaves nothing."""
    one = draw(tmp_path, "1.jpg") / "1.jpg"
    assert [_hash(tmp_path / "state", one) for _ in range(2)] == [sha256_file(one)] * 2
    assert not (tmp_path / "state").exists()


def _edit_keeping_times(path: Path) -> None:
    before = path.stat()
    path.write_text("2.jpg")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("longer than it was"),
        lambda path: os.utime(path, (1, 1)),
        lambda path: (path.write_text("2.jpg"), os.utime(path, (5, 5))),
        _edit_keeping_times,
        lambda path: draw(path.parent, "new").joinpath("new").replace(path),
    ],
    ids=["size", "time", "content and time", "content with its old time", "another file"],
)
def test_a_changed_file_is_read_again(tmp_path: Path, read: list[str], change: Callable[[Path], object]) -> None:
    path = draw(tmp_path, "1.jpg") / "1.jpg"
    _hash(tmp_path / "state", path)
    change(path)
    assert _hash(tmp_path / "state", path) == sha256_file(path)
    assert read == ["1.jpg", "1.jpg"]


@pytest.mark.parametrize("content", [b"{ not json", b"\xff\xfe\x00", b"", b"[]", b"null", b'"text"'])
def test_a_record_of_hashes_that_cannot_be_read_costs_time_only(tmp_path: Path, read: list[str], content: bytes) -> None:
    path, record = draw(tmp_path, "1.jpg") / "1.jpg", tmp_path / "state" / "hashes.json"
    record.parent.mkdir()
    record.write_bytes(content)
    assert _hash(tmp_path / "state", path) == _hash(tmp_path / "state", path) == sha256_file(path)
    assert read == ["1.jpg"]
    assert list(json.loads(record.read_text())) == [str(path)]


def test_a_record_of_hashes_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder belongs")
    path = draw(tmp_path, "1.jpg") / "1.jpg"
    assert _hash(tmp_path / "state", path) == sha256_file(path)
