"""What the kit keeps and blanks, on fat binaries made by hand."""

import lzma
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from benchmarks.gpu_kit import FAT_MAGIC, blank_others, cut, pack
from benchmarks.gpu_site import unpack


def entry(architecture: int, code: bytes) -> bytes:
    header = struct.pack("<HHIQ", 2, 257, 64, len(code)).ljust(28, b"\1") + struct.pack("<I", architecture)
    return header.ljust(64, b"\2") + code


def fat(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return struct.pack("<IHHQ", FAT_MAGIC, 1, 16, len(body)) + body


def test_a_library_without_cuda_code_stays_as_it_is() -> None:
    assert blank_others(b"", 90) == b""
    assert blank_others(b"no code at all" * 9, 90) == b"no code at all" * 9


def test_only_the_code_of_other_architectures_is_blanked() -> None:
    first, second = fat(entry(80, b"A" * 40), entry(90, b"B" * 24)), fat(entry(75, b"C" * 8))
    blanked = fat(entry(80, bytes(40)), entry(90, b"B" * 24)), fat(entry(75, bytes(8)))
    assert blank_others(b"begin" + first + b"between" + second + b"end", 90) == (
        b"begin" + blanked[0] + b"between" + blanked[1] + b"end"
    )


def test_what_only_looks_like_a_fat_binary_is_left_alone() -> None:
    magic = struct.pack("<I", FAT_MAGIC)
    for tail in (b"", b"\1\0\20\0", struct.pack("<HHQ", 2, 16, 8) + b"x" * 8, struct.pack("<HHQ", 1, 16, 1 << 40)):
        assert blank_others(b"head" + magic + tail, 90) == b"head" + magic + tail
    zeros = struct.pack("<IHHQ", FAT_MAGIC, 1, 16, 64) + bytes(64)
    assert blank_others(zeros, 90) == zeros


def test_files_can_be_changed_or_left_out_while_they_are_packed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("a/keep.txt", "keep")
        wheel.writestr("a/drop.txt", "drop")
    edit = lambda name, data: None if "drop" in name else data.upper()  # noqa: E731
    pack([tmp_path / "a.whl"], tmp_path / "a.txz", 1, edit)
    with lzma.open(tmp_path / "a.txz") as stream, tarfile.open(fileobj=stream) as tar:
        assert tar.getnames() == ["a/keep.txt"]
        assert tar.extractfile("a/keep.txt").read() == b"KEEP"


@pytest.mark.parametrize("size", [10**6, 100, 7])
def test_an_archive_in_parts_is_unpacked_like_a_whole_one(tmp_path: Path, size: int) -> None:
    kit = tmp_path / "kit"
    kit.mkdir()
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("a/text.txt", "".join(map(str, range(400))))
    pack([tmp_path / "a.whl"], kit / "a.txz", 1)
    whole = (kit / "a.txz").read_bytes()
    parts = cut(kit / "a.txz", size)
    assert b"".join(part.read_bytes() for part in parts) == whole
    assert (len(parts) == 1) == (len(whole) <= size) and all(part.stat().st_size <= size for part in parts)
    for number, part in enumerate(parts[1:]):  # they may come one by one, each in a folder of its own
        (kit / str(number)).mkdir()
        part.rename(kit / str(number) / part.name)
    site = unpack(kit, tmp_path / "work")
    assert (site / "a" / "text.txt").read_text() == "".join(map(str, range(400)))
