"""A recipe, a picture set and a list of pins name only what lies beside them or in their archive."""

from pathlib import Path

import pytest

from litekiln.errors import LitekilnError, RecipeError, UsageError
from litekiln.paths import Project
from litekiln.recipes.picture_sets import load_set
from litekiln.recipes.recipe import load_recipe
from tests.unit.recipes.test_picture_sets import FETCHED, write_set
from tests.unit.run.test_write_report import write_recipe

DOWNLOAD = f'url = "https://litekiln.invalid/a.tar.gz"\nsha256 = "{"a" * 64}"'


def _refused(project: Project) -> LitekilnError:
    with pytest.raises(RecipeError) as caught:
        load_recipe(project, "demo")
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("../../theirs", "a path that leaves models/"),
        ("/etc", "an absolute path"),
        ("a\\\\b", "a name that some systems do not accept"),
        ("link", "a path that leaves models/ by a link"),
    ],
)
@pytest.mark.parametrize("key", ["folder", "file"])
def test_a_source_outside_the_models_is_refused(project: Project, key: str, path: str, fault: str) -> None:
    (project.work / "theirs").mkdir()
    (project.models / "demo" / "link").symlink_to(project.work / "theirs")
    write_recipe(project, "float32", source=f'{key} = "{path}"')
    error = _refused(project)
    shown = path.replace("\\\\", "\\")
    assert error.what == f"models/demo/model.toml: source.{key}: {shown!r} is {fault}"
    assert error.remedy == "copy it into models/demo/ and write its name there"


def test_labels_and_code_outside_the_models_are_refused(project: Project) -> None:
    recipe = project.models / "demo" / "model.toml"
    written = recipe.read_text()
    recipe.write_text(written.replace('"labels.txt"', '"../../labels.txt"'))
    assert _refused(project).what == "models/demo/model.toml: labels.file: '../../labels.txt' is a path that leaves models/"
    recipe.write_text(
        written.replace('"tf2-detection"\nfolder = "source"', '"keras"\nfile = "net.py"\ncustom = "/etc/x.py"')
        + "[input]\nmean = 0\nstd = 1\n"
    )
    assert _refused(project).what == "models/demo/model.toml: source.custom: '/etc/x.py' is an absolute path"


def test_a_neighbour_s_file_may_be_read(project: Project) -> None:
    other = project.models / "other"
    other.mkdir()
    (other / "labels.txt").write_text("cat\n")
    recipe = project.models / "demo" / "model.toml"
    recipe.write_text(recipe.read_text().replace('"labels.txt"', '"../other/labels.txt"'))
    assert load_recipe(project, "demo").labels


@pytest.mark.parametrize(("member", "fault"), [("../../home", "a path that leaves its folder"), ("/home", "an absolute path")])
def test_a_member_outside_its_archive_is_refused(project: Project, member: str, fault: str) -> None:
    write_recipe(project, "float32", source=f'{DOWNLOAD}\nmember = "{member}"')
    assert _refused(project).what == (
        f"models/demo/model.toml: source.member: {member!r} is {fault}: it names a part of the archive"
    )


def test_a_function_s_module_is_a_name(project: Project) -> None:
    recipe = project.models / "demo" / "model.toml"
    written = recipe.read_text()
    for function in ("../x:f", "a..b:f", "a.:f", "a/b:f"):
        recipe.write_text(written.replace('"tf2-detection"', f'"function"\nfunction = "{function}"'))
        assert _refused(project).what == 'models/demo/model.toml: source.function: expected "package.module:attribute"'


def test_a_set_is_named_below_calib(project: Project) -> None:
    write_set(project, 'folder = "."')
    write_recipe(project, "float32", calibration="../../theirs")
    said = "calibration.set: '../../theirs' is a path that leaves its folder: a picture set is a folder below calib/"
    assert _refused(project).what == f"models/demo/model.toml: {said}"
    (project.work / "theirs").mkdir()
    (project.work / "theirs" / "set.toml").write_text('folder = "."')
    with pytest.raises(UsageError, match=r"unknown picture set '\.\./theirs'"):
        load_set(project, "../theirs")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('folder = "../../theirs"', "folder: '../../theirs' is a path that leaves calib/"),
        ('generator = "/etc/x.py"', "generator: '/etc/x.py' is an absolute path"),
        (FETCHED.replace('"list"', '"../../list"'), "pinned: '../../list' is a path that leaves calib/"),
    ],
)
def test_a_set_reads_nothing_outside_calib(project: Project, text: str, fault: str) -> None:
    write_set(project, text)
    with pytest.raises(RecipeError) as caught:
        load_set(project, "photos")
    assert caught.value.what == f"calib/photos/set.toml: {fault}"
    assert caught.value.remedy == "copy it into calib/photos/ and write its name there"


def test_a_folder_of_the_command_line_may_be_anywhere(project: Project, tmp_path: Path) -> None:
    from litekiln.recipes.picture_sets import from_folder

    assert from_folder(tmp_path / "elsewhere").folder == tmp_path


@pytest.mark.parametrize(
    ("path", "fault"), [("../../../x", "a path that leaves its folder"), ("/home/me/.profile", "an absolute path")]
)
def test_a_pinned_picture_outside_its_archive_is_refused(project: Project, path: str, fault: str) -> None:
    folder = write_set(project, FETCHED)
    (folder / "list").write_text(f"{'a' * 64} 5 {path}\n")
    with pytest.raises(RecipeError) as caught:
        load_set(project, "photos").pinned()
    assert caught.value.what == f"calib/photos/list: {path!r} is {fault}: a picture's path starts in its archive"
