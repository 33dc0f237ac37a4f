"""What a step reads is what was hashed, whatever happens to the files meanwhile."""

import os
from pathlib import Path
from threading import Thread

import pytest

from litekiln.errors import InputChanged
from litekiln.hashing import file_status
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.plan.plan import Plan
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.programs import Program
from litekiln.remembered import Remembered
from litekiln.run.inputs import Inputs
from litekiln.run.session import open_executor
from litekiln.run.store import Store
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import load_toolchain
from tests.helpers.running import one_step, run, run_to_end, write_program

LIST = """
return {"names": sorted((each.name, each.is_symlink()) for each in os.scandir(protocol.input_path("pictures")))}
"""
COPY = """
with open(protocol.output_path("made.txt"), "w") as stream:
    stream.write(open(protocol.input_path("source")).read())
return {}
"""


def test_a_file_that_is_edited_and_put_back_while_a_step_runs_does_no_harm(project: Project) -> None:
    """As an editor's undo, or a `git stash` in another window."""
    source = project.models / "demo" / "net.py"
    write_program(project, f"place = {str(source)!r}\nopen(place, 'w').write('halved')\n{COPY.strip()}")
    made = run(project, one_step(project))["work"].entry.files / "made.txt"
    assert source.read_text() == "halved"
    assert made.read_text() == "class Net: ...\n"


def test_a_file_that_is_edited_after_the_plan_stores_nothing(project: Project) -> None:
    write_program(project, COPY)
    plan = one_step(project)
    (project.models / "demo" / "net.py").write_text("class Other: ...\n")
    with pytest.raises(InputChanged) as caught:
        run(project, plan)
    assert caught.value.what == "models/demo/net.py changed while it was being built"
    assert caught.value.remedy == "run the same command again, and change nothing while it runs"
    assert list(Store(project.state)) == []
    assert (run(project, one_step(project))["work"].entry.files / "made.txt").read_text() == "class Other: ...\n"


def test_a_hash_that_was_remembered_wrongly_is_forgotten(project: Project) -> None:
    """Otherwise each further build would end the same way."""
    write_program(project, COPY)
    source = project.models / "demo" / "net.py"
    project.state.mkdir()
    known = Remembered(project.state / "hashes.json")
    known.keep(str(source), [*file_status(source.stat()), "0" * 64])
    known.save()
    with pytest.raises(InputChanged):
        run(project, one_step(project))
    assert run(project, one_step(project))["work"].reason == "new"


@pytest.mark.parametrize("module", ["work.py", "part.py"])
def test_a_program_that_is_edited_after_the_plan_stores_nothing(project: Project, module: str) -> None:
    (project.steps / "part.py").write_text("one = 1\n")
    write_program(project, f"import part\n{COPY.strip()}")
    plan = one_step(project)
    with (project.steps / module).open("a") as stream:
        stream.write("# more\n")
    with pytest.raises(InputChanged, match=r"work: steps/work.py, or a module that it imports, changed while it was being built"):
        run(project, plan)
    assert list(Store(project.state)) == []


def _of_pictures(project: Project, names: list[str] | None) -> Plan:
    builder = PlanBuilder(project, "demo")
    folder = project.work / "pictures"
    folder.mkdir(exist_ok=True)
    for name in ("a.png", "b.png", "c.png"):
        (folder / name).write_text(name)
    pictures = builder.file(folder, names)
    tiny = load_toolchain(project, "tiny")
    builder.add("look", Program("work.py"), tiny, args={}, inputs={"pictures": pictures})
    return builder.plan()


def test_pictures_that_are_moved_away_for_a_moment_are_missed_before_the_step_runs(project: Project) -> None:
    write_program(project, "return {'names': sorted(os.listdir(protocol.input_path('pictures')))}")
    plan = _of_pictures(project, None)
    (project.work / "pictures" / "b.png").rename(project.work / "b.png")
    with pytest.raises(InputChanged) as caught:
        run(project, plan)
    assert (caught.value.what, caught.value.cause) == (
        "pictures/b.png changed while it was being built",
        "it is no longer there",
    )
    (project.work / "b.png").rename(project.work / "pictures" / "b.png")
    assert run(project, plan)["look"].entry.result()["names"] == ["a.png", "b.png", "c.png"]


def test_a_step_sees_the_named_files_only_and_links_as_what_they_lead_to(project: Project) -> None:
    """A container has only the folder: a link in it that leads elsewhere would lead nowhere there."""
    write_program(
        project, "return {'names': sorted((each.name, each.is_symlink()) for each in os.scandir(protocol.input_path('pictures')))}"
    )
    (project.work / "pictures").mkdir()
    (project.work / "far.png").write_text("a.png")
    (project.work / "pictures" / "a.png").symlink_to("../far.png")
    plan = _of_pictures(project, ["a.png", "c.png"])
    assert run(project, plan)["look"].entry.result()["names"] == [["a.png", False], ["c.png", False]]


def test_a_change_ends_the_step_and_tries_no_other_toolchain(project: Project) -> None:
    write_program(project, COPY)
    plan = one_step(project)
    (project.models / "demo" / "net.py").unlink()
    outcome = run_to_end(project, plan)
    assert isinstance(outcome.error, InputChanged)


def test_steps_that_run_side_by_side_share_a_copy(project: Project) -> None:
    write_program(project, "return {}")
    plan = _of_pictures(project, None)
    with Lease(project.state) as lease:
        inputs = Inputs(project, lease.staging)
        found: list[Path] = []
        threads = [Thread(target=lambda: found.append(inputs.copy_of(plan.steps[0].inputs["pictures"]))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 1
        assert sorted(os.listdir(found[0])) == ["a.png", "b.png", "c.png"]  # noqa: PTH208


def test_a_forced_step_that_fails_leaves_the_entry_that_was_there(project: Project) -> None:
    write_program(project, COPY)
    entry = run(project, one_step(project))["work"].entry
    plan = one_step(project)
    (project.models / "demo" / "net.py").write_text("edited")
    with pytest.raises(InputChanged):
        run(project, plan, force=True)
    assert (entry.files / "made.txt").read_text() == "class Net: ...\n"


def test_replaced_entries_go_when_no_other_run_can_be_reading_them(project: Project) -> None:
    write_program(project, COPY)
    run(project, one_step(project))
    run(project, one_step(project), force=True)
    store = Store(project.state)
    assert len(list(store.root.glob(".*"))) == 1
    with Lease(project.state), open_executor(project, "venv", Reporter()):
        assert len(list(store.root.glob(".*"))) == 1
    with open_executor(project, "venv", Reporter()):
        assert list(store.root.glob(".*")) == []
    assert len(list(store)) == 1
