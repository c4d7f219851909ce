"""Text files as other programs write them."""

import codecs
from pathlib import Path

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in what its byte order mark says, without that mark and with \\n between lines.

    Raises OSError, and UnicodeDecodeError (a ValueError) where it is no text.
    """
    data = path.read_bytes()
    coding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    return data.decode(coding).replace("\r\n", "\n").replace("\r", "\n")
