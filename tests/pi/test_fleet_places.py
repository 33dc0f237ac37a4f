"""The list of a room's Pis: what is an address, and what each wrong part is told."""

from pathlib import Path

import pytest

from litekiln_pi.errors import BadUse
from litekiln_pi.fleet.places import MOST, Place, Roster, read_roster


@pytest.mark.parametrize(
    ("text", "place", "address"),
    [
        ("192.168.1.17", Place("192.168.1.17"), "http://192.168.1.17:8080/"),
        ("raspberrypi.local:8081", Place("raspberrypi.local", 8081), "http://raspberrypi.local:8081/"),
        ("http://Pi-3/", Place("pi-3", 80), "http://pi-3/"),
        ("http://pi:8080", Place("pi"), "http://pi:8080/"),
        ("https://pi.example.org", Place("pi.example.org", 443, secure=True), "https://pi.example.org/"),
        ("[fe80::1]:9000", Place("fe80::1", 9000), "http://[fe80::1]:9000/"),
    ],
)
def test_an_address(text: str, place: Place, address: str) -> None:
    assert read_roster(text, "--list") == Roster((place,))
    assert place.address == address


def test_addresses_a_file_and_mdns(tmp_path: Path) -> None:
    file = tmp_path / "room.txt"
    file.write_text("\ufeff# our room\n192.168.1.17  Desk 1 # by the window\n\npi2.local\n192.168.1.17\n", encoding="utf-8")
    roster = read_roster(f"10.0.0.1, {file},mdns", "--list")
    assert roster == Roster((Place("10.0.0.1"), Place("192.168.1.17"), Place("pi2.local")), finds=True)
    assert [each.name for each in roster.places] == ["", "Desk 1", ""]
    assert read_roster("", "--list") == Roster()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("not an address", "'not an address' is not an address"),
        ("http://[", "'http://[' is not an address"),
        ("pi:99999", "'pi:99999' is not an address"),
        ("pi:0", "'pi:0' has the port 0"),
        ("ftp://pi", "'ftp://pi' begins with neither http:// nor https://"),
        ("http://me:word@pi", "'http://me:word@pi' has a name or a password: the room's token goes into LITEKILN_TOKEN"),
        ("http://pi:8080/api/state", "'http://pi:8080/api/state' is more than an address: leave out what follows the port"),
        ("http://pi?a", "'http://pi?a' is more than an address: leave out what follows the port"),
        ("pí", "'pí' is not an address"),
        ("192.168.1.999", "'192.168.1.999' is not an address"),
        ("[fe80::1%eth0]", "'[fe80::1%eth0]' is not an address"),
    ],
)
def test_what_is_no_address(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadUse) as caught:
        read_roster(text, "--fleet")
    assert str(caught.value) == f"--fleet: {why}"
    assert "for example" in caught.value.remedy
    if " " not in text:
        file = tmp_path / "room.txt"
        file.write_text(f"10.0.0.1\n{text}\n", encoding="utf-8")
        with pytest.raises(BadUse) as caught:
            read_roster(str(file), "--fleet")
        assert str(caught.value) == f"{file}, line 2: {why}"


def test_files_that_are_no_list(tmp_path: Path) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(BadUse) as caught:
            read_roster(str(path), "--list")
        assert caught.value.remedy
        return str(caught.value)

    file = tmp_path / "room.txt"
    assert refused(file) == f"--list: {file} can't be read: No such file or directory"
    assert refused(tmp_path) == f"--list: {tmp_path} can't be read: Is a directory"
    file.write_bytes(b"\xff\xfe\x00")
    assert refused(file) == f"--list: {file} is not a text file"
    file.write_bytes(b"#" * 100_001)
    assert refused(file) == f"--list: {file} is larger than 100 kB"
    file.write_text(f"10.0.0.1 {'x' * 61}\n")
    assert refused(file) == f"{file}, line 1: '10.0.0.1' has a name of more than 60 letters, or one that can't be printed"
    file.write_text("\n".join(f"10.0.0.{number}" for number in range(MOST + 1)))
    assert refused(file) == "--list: these are 101 Pis, the limit is 100"
