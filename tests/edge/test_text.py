import codecs
from pathlib import Path

import pytest

from edge.sources.sequence import SequenceInfo
from edge.text import read_text
from edge.tracking.mot_format import MotFormatError, read_mot

LINES = "1,1,10,20,30,40,1,1,1\n2,1,11,20,30,40,1,1,0.5\n"
INFO = "[Sequence]\nname=Süd\nframeRate=25\nseqLength=2\nimWidth=64\nimHeight=48\n"
CODINGS = {
    "as it should be": str.encode,
    "with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "with a mark and CRLF": lambda text: codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode(),
    "with CR": lambda text: text.replace("\n", "\r").encode(),
    "UTF-16, little end first": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: codecs.BOM_UTF16_BE + text.replace("\n", "\r\n").encode("utf-16-be"),
    "without a last line's end": lambda text: text.rstrip("\n").encode(),
}


def test_an_empty_file_has_no_text_and_no_boxes(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    for content in (b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE):
        path.write_bytes(content)
        assert read_text(path) == "" and len(read_mot(path)) == 0


@pytest.mark.parametrize("coded", CODINGS.values(), ids=CODINGS.keys())
def test_text_is_read_as_other_programs_write_it(tmp_path: Path, coded: object) -> None:
    path = tmp_path / "gt.txt"
    path.write_bytes(coded(LINES))  # type: ignore[operator]
    boxes = read_mot(path)
    assert boxes.frames.tolist() == [1, 2] and boxes.visibility.tolist() == [1.0, 0.5]
    path.write_bytes(coded(INFO))  # type: ignore[operator]
    info = SequenceInfo.read(path)
    assert (info.name, info.frame_rate, info.length) == ("Süd", 25.0, 2)


def test_what_is_no_text_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_bytes(b"\xff\xd8\xff\xe0 a picture")
    with pytest.raises(MotFormatError, match="this is not text"):
        read_mot(path)
