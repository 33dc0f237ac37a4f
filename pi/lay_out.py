"""Lay out the files of the Pi's image:   python3 lay_out.py BASE CONTEXT OUT

Runs on the build machine, in a stage of Dockerfile.pi, and runs no code of the image's processor. BASE is a Debian with Python for
that processor; the image gets the part of it that the runtime loads. CONTEXT comes from `inv pi`: the packages unpacked for that
processor, the runtime, the bundle. OUT gets root/ (the system), packages/ and app/ (compiled), bundle/ and sbom/; all files have
the same date.
"""

import compileall
import json
import os
import py_compile
import re
import shutil
import struct
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

Component = dict[str, str]  # as CycloneDX has it
EPOCH = 1_577_836_800  # 2020-01-01: a fixed date, so that the same files always give the same layers
PYTHON = "python3.11"
HOME = "/opt/litekiln"
SBOM = "litekiln.cdx.json"
USER = "litekiln:x:10001:44:litekiln:/tmp:/sbin/nologin"
VIDEO = 44  # the number of the group that may use cameras, in Debian and Raspberry Pi OS
# Parts of Python that nothing here imports
UNUSED_PYTHON = [
    "__pycache__",
    "config-*",
    "dist-packages",
    "distutils",
    "doctest.py",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "mailbox.py",
    "pdb.py",
    "pydoc.py",
    "pydoc_data",
    "site-packages",
    "sqlite3",
    "test",
    "tests",
    "tkinter",
    "turtle.py",
    "turtledemo",
    "unittest",
    "venv",
    "xmlrpc",
    "_pydecimal.py",
    "curses",
    "dbm",
    "_sqlite3.*.so",
    "_tkinter.*.so",
    "_curses*.so",
    "_dbm.*.so",
    "_gdbm.*.so",
    "_test*.so",
    "_ctypes_test.*.so",
    "_xxtestfuzz.*.so",
    "xxlimited*.so",
    "nis.*.so",
    "ossaudiodev.*.so",
    "readline.*.so",
]
# Parts of the packages that nothing here imports, or that only compilers and editors read
UNUSED_PACKAGES = {
    "": ["*.pyi", "*.pxd", "*.a", "*.h", "tests", "_*_tests.*.so", "_simd.*.so", "__pycache__", "py.typed", "bin"],
    "numpy": ["f2py", "distutils", "fft", "polynomial", "typing", "random", "testing", "_pyinstaller", "include"],
    "PIL": ["_avif.*.so", "_imagingcms.*.so", "_imagingtk.*.so", "_tkinter_finder.py", "ImageQt.py", "ImageTk.py"],
    "ai_edge_litert": ["*"],
}
KEPT_PACKAGES = {
    "ai_edge_litert": [
        "__init__.py",
        "interpreter.py",
        "metrics_interface.py",
        "metrics_portable.py",
        "_pywrap_litert_interpreter_wrapper.so",
        "libpywrap_litert_common.so",
        "libLiteRt.so",
    ],
}
LOADED_LATER = ("libgcc_s.so.1",)  # no list of needed libraries names it: threads load it when they end
FILES = ("etc/nsswitch.conf", "etc/debian_version", "etc/ssl/certs/ca-certificates.crt", "etc/ssl/openssl.cnf")
LOADERS = {"ld-linux-x86-64.so.2": "usr/lib64"}  # where programs look for it; for arm64 it is usr/lib
NEEDED, RPATH, RUNPATH = 1, 15, 29  # entries for the loader, in an ELF file's section of this type:
DYNAMIC = 6


def main(base: Path, context: Path, out: Path) -> None:
    """Write everything in OUT, and add Debian's part of it to the list of components."""
    copy_packages(context / "packages", out / "packages")
    shutil.copytree(context / "app", out / "app", ignore=shutil.ignore_patterns("__pycache__"))
    root = out / "root"
    shutil.copytree(context / "bundle", out / "bundle")
    python = copy_python(base, root)
    libraries = Libraries(base, root)
    for file in (python, *files_with(root, ".so"), *files_with(out / "packages", ".so")):
        libraries.take_needed_by(file)
    for name in LOADED_LATER:
        libraries.take(name)
    prune_unreached(out / "packages", libraries.reached)
    copy_system(base, root)
    taken = libraries.sources | {base / f for f in FILES} | {python_source(base)}
    components = [*python_component(base), *record_debian_packages(base, root, taken)]
    (out / "sbom").mkdir()
    add_components(context / "sbom" / SBOM, components, out / "sbom" / SBOM)
    compile_all(out)
    same_date(out)


def copy_packages(packages: Path, target: Path) -> None:
    """Copy the packages, without what nothing here imports."""

    def unused(folder: str, names: list[str]) -> set[str]:
        place = Path(folder).relative_to(packages).parts
        patterns = [*UNUSED_PACKAGES[""], *(UNUSED_PACKAGES.get(place[0], []) if len(place) == 1 else [])]
        kept = KEPT_PACKAGES.get(place[0], []) if len(place) == 1 else []
        return shutil.ignore_patterns(*patterns)(folder, names) - set(kept)

    shutil.copytree(packages, target, ignore=unused)


def python_source(base: Path) -> Path:
    """The path of the interpreter: that of python:3.11-slim, or Debian's own."""
    for place in ("usr/local/bin", "usr/bin"):
        if (base / place / PYTHON).is_file():
            return base / place / PYTHON
    sys.exit(f"the base image has no {PYTHON}")


def copy_python(base: Path, root: Path) -> Path:
    source = python_source(base)
    target = root / source.relative_to(base)
    target.parent.mkdir(parents=True)
    shutil.copy2(source, target)
    for link in ("python3", "python"):
        (target.parent / link).symlink_to(PYTHON)
    library = source.parents[1] / "lib" / PYTHON
    ignore = shutil.ignore_patterns(*UNUSED_PYTHON)
    shutil.copytree(library, root / library.relative_to(base), ignore=ignore, symlinks=True, ignore_dangling_symlinks=True)
    for dangling in [path for path in root.rglob("*") if path.is_symlink() and not path.exists()]:
        dangling.unlink()  # Debian's link to a file below /etc
    return target


class Libraries:
    """The base's shared libraries that something needs, and those that they need."""

    def __init__(self, base: Path, root: Path) -> None:
        self._base, self._root = base, root
        triplets = [path.name for path in (base / "usr/lib").glob("*-linux-gnu")]
        self._folders = ["usr/local/lib", *(f"{top}/{each}" for each in triplets for top in ("usr/lib", "lib")), "usr/lib", "lib"]
        self._target = root / "usr/lib" / triplets[0]
        self._target.mkdir(parents=True, exist_ok=True)
        self._taken: set[str] = set()
        self.reached: set[Path] = set()
        self.sources: set[Path] = set()

    def take_needed_by(self, file: Path) -> None:
        needed, paths = dynamic(file)
        for name in needed:
            beside = next((Path(os.path.normpath(path / name)) for path in paths if (path / name).is_file()), None)
            if beside is None:
                self.take(name)
            elif beside not in self.reached:
                self.reached.add(beside)
                self.take_needed_by(beside)

    def take(self, name: str) -> None:
        """Copy a system library to where the loader looks for it."""
        if name in self._taken:
            return
        self._taken.add(name)
        source = next((self._base / folder / name for folder in self._folders if (self._base / folder / name).exists()), None)
        if source is None:
            sys.exit(f"the base image has no {name}, which the runtime needs")
        self.sources.add(source.resolve())
        # The loader itself has a fixed place
        target = self._root / LOADERS.get(name, "usr/lib") / name if name.startswith("ld-linux") else self._target / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        self.take_needed_by(target)


def dynamic(file: Path) -> tuple[list[str], list[Path]]:
    """The libraries that an ELF file needs, and the folders near it where the loader looks first."""
    data = file.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        return [], []
    offset, size, count = (*struct.unpack_from("<Q", data, 40), *struct.unpack_from("<HH", data, 58))
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, offset + place * size) for place in range(count)]
    found = next((each for each in sections if each[1] == DYNAMIC), None)
    if found is None:
        return [], []
    strings = sections[found[6]][4]
    entries = [struct.unpack_from("<QQ", data, place) for place in range(found[4], found[4] + found[5], 16)]

    def text(place: int) -> str:
        return data[strings + place : data.index(b"\0", strings + place)].decode()

    needed = [text(value) for tag, value in entries if tag == NEEDED]
    paths = [part for tag, value in entries if tag in (RPATH, RUNPATH) for part in text(value).split(":")]
    return needed, [file.parent / part.replace("$ORIGIN", ".") for part in paths if part.startswith("$ORIGIN")]


def files_with(folder: Path, ending: str) -> Iterator[Path]:
    """The extension modules, which Python itself loads."""
    libraries = [path for path in sorted(folder.rglob(f"*{ending}*")) if path.is_file() and not path.is_symlink()]
    return (path for path in libraries if not path.parent.name.endswith(".libs") and "linux-gnu" not in path.parent.name)


def prune_unreached(packages: Path, reached: set[Path]) -> None:
    """Delete a wheel's libraries that only its left-out parts need."""
    for folder in packages.glob("*.libs"):
        for path in folder.iterdir():
            if path not in reached:
                path.unlink()


def copy_system(base: Path, root: Path) -> None:
    """Copy the few system files that programs expect. No password works, and there is no shell to log in to."""
    for link in ("lib", "bin", "sbin", "lib64"):
        if (base / link).is_symlink():
            (root / link).symlink_to((base / link).readlink())
    for name in ("tmp", "proc", "sys", "dev", "data", "var/lib/dpkg/status.d", "etc/ssl/certs"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name in FILES:
        if (base / name).is_file():
            shutil.copy2(base / name, root / name)
    shutil.copy2(
        (base / "etc/os-release").resolve() if (base / "etc/os-release").is_file() else base / "usr/lib/os-release",
        root / "etc/os-release",
    )
    (root / "etc/passwd").write_text(f"root:x:0:0:root:/root:/sbin/nologin\n{USER}\n")
    (root / "etc/group").write_text(f"root:x:0:\nvideo:x:{VIDEO}:\nlitekiln:x:10001:\n")


def record_debian_packages(base: Path, root: Path, taken: set[Path]) -> list[Component]:
    """The Debian packages that the image has parts of, as components; also recorded where scanners look."""
    status = base / "var/lib/dpkg/status"
    if not status.is_file():
        return []
    owners = owners_of(base, taken)
    components = []
    for stanza in status.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and not line.startswith(" "))
        if fields.get("Package") in owners:
            (root / "var/lib/dpkg/status.d" / fields["Package"]).write_text(stanza.strip() + "\n", encoding="utf-8")
            name, version = fields["Package"], fields["Version"]
            address = f"pkg:deb/debian/{name}@{version.replace('+', '%2B').replace(':', '%3A')}?arch={fields['Architecture']}"
            components.append({"type": "library", "bom-ref": address, "purl": address, "name": name, "version": version})
    return components


def python_component(base: Path) -> list[Component]:
    """Python itself, unless it is a Debian package; its own header tells its version."""
    prefix = python_source(base).parents[1]
    if prefix == base / "usr":
        return []
    header = prefix / "include" / PYTHON / "patchlevel.h"
    defined = re.search(r'^#define PY_VERSION\s+"([^"]+)"', header.read_text() if header.is_file() else "", re.MULTILINE)
    version = defined[1] if defined else PYTHON.removeprefix("python")
    address, known_as = f"pkg:generic/python@{version}", f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*"
    return [{"type": "platform", "bom-ref": address, "purl": address, "cpe": known_as, "name": "python", "version": version}]


def add_components(listed: Path, components: list[Component], target: Path) -> None:
    """Add the components that are only known here; the list's serial number depends on all of them."""
    value = json.loads(listed.read_text(encoding="utf-8"))
    value["components"] += components
    first = uuid.UUID(value["serialNumber"])
    value["serialNumber"] = f"urn:uuid:{uuid.uuid5(first, json.dumps(components, sort_keys=True))}"
    target.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def owners_of(base: Path, taken: set[Path]) -> set[str]:
    """The packages that the files came from; where /usr is merged, a package may name either path."""
    names = {"/" + path.relative_to(base).as_posix() for path in taken if path.is_relative_to(base)}
    names |= {name.removeprefix("/usr") for name in names if name.startswith("/usr/lib")}
    owners = set()
    for listing in (base / "var/lib/dpkg/info").glob("*.list"):
        if names & set(listing.read_text(encoding="utf-8").splitlines()):
            owners.add(listing.stem.partition(":")[0])
    python = {"libpython3.11-minimal", "libpython3.11-stdlib"}
    return owners | {
        name for name in python if any(path.stem.startswith(name) for path in (base / "var/lib/dpkg/info").glob("*.list"))
    }


def compile_all(out: Path) -> None:
    """Replace all Python files by their bytecode: the running image is read-only, and sources beside it are 16 MB more.

    So a traceback names file, line and function, but doesn't quote the line.
    """
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH  # bytecode of which the source is gone is checked against nothing
    library = next((out / "root/usr").rglob(PYTHON + "/os.py")).parent
    for folder, strip, place in (
        (out / "packages", out / "packages", f"{HOME}/packages"),
        (out / "app", out / "app", f"{HOME}/app"),
        (library, out / "root", "/"),
    ):
        compileall.compile_dir(folder, quiet=2, legacy=True, stripdir=str(strip), prependdir=place, invalidation_mode=mode)
        for source in folder.rglob("*.py"):
            if source.with_suffix(".pyc").is_file():
                source.unlink()


def same_date(out: Path) -> None:
    for path in [out, *out.rglob("*")]:
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


if __name__ == "__main__":
    main(*(Path(each).resolve() for each in sys.argv[1:]))
