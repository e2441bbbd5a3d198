"""In which encoding a text file is written: told from its bytes, marks and words."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dothi.lake.reading import fonts
from dothi.lake.reading.limits import LOOKED_AT, MIB
from dothi.lake.reading.refused import Refused

_READ_WHOLE = 32 * MIB
_MARKS = (
    (codecs.BOM_UTF32_LE, None),
    (codecs.BOM_UTF32_BE, None),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NAMES = {
    "utf-8": "utf-8", "utf8": "utf-8", "utf-8-sig": "utf-8", "utf-16": "utf-16-le",
    "utf-16-le": "utf-16-le", "utf-16le": "utf-16-le", "utf-16-be": "utf-16-be",
    "utf-16be": "utf-16-be", "windows-1258": "cp1258", "cp1258": "cp1258",
    "windows-1252": "cp1252", "cp1252": "cp1252", "iso-8859-1": "latin-1", "latin-1": "latin-1",
}  # fmt: skip
_CHUNK = 1 * MIB


@dataclass(frozen=True)
class Written:
    """How a text file is written. `skip`: bytes of its byte order mark."""

    encoding: str
    skip: int
    font: str | None
    sample: str
    """The start of the text, decoded and converted, cut at the end of a line."""
    damaged: int = 0
    """Places that are no text in this encoding."""

    @property
    def plain(self) -> bool:
        """UTF-8 that means what it says: DuckDB reads it as it stands."""
        return self.encoding == "utf-8" and self.font is None

    def convert(self, text: str) -> str:
        """Decoded text as Unicode in its composed form."""
        if self.font:
            return fonts.CONVERTERS[self.font](text)
        if self.encoding == "cp1258":
            return unicodedata.normalize("NFC", text)
        return text


def written(path: Path, how: dict[str, Any]) -> Written:
    """How the file is written; what `how` says counts. Raises Refused for what is no text."""
    with path.open("rb") as file:
        head = file.read(LOOKED_AT)
    if not head.strip():
        raise Refused("lake.file_empty")
    encoding, skip = _by_mark(head)
    damaged = 0
    if given := how.get("encoding"):
        meant = known(str(given))
        if meant is None:
            raise Refused("reading.unknown_encoding", name=str(given)[:60])
        # A mark says more exactly which of two byte orders it is.
        encoding = encoding if encoding and meant.startswith("utf-16") else meant
    if encoding is None:
        encoding = _utf16_without_mark(head)
    if encoding is None or not encoding.startswith("utf-16"):
        letters, wrong = _utf8(path)
        if encoding is None:
            # A few damaged bytes do not make UTF-8 something else; their lines are set aside.
            encoding = "utf-8" if wrong * 5 <= letters else one_byte(beyond_ascii(path, "latin-1"))
        damaged = wrong if encoding == "utf-8" else 0
    sample = _decode(head[skip:], encoding, len(head) == LOOKED_AT)
    if font := how.get("font"):
        if font not in fonts.CONVERTERS:
            raise Refused("reading.unknown_encoding", name=str(font)[:60])
    elif encoding in {"utf-8", "cp1252", "latin-1"}:
        font = fonts.font_of(sample)
        if font is None and encoding != "utf-8":
            font = fonts.font_of(beyond_ascii(path, encoding))
    result = Written(encoding, skip, font, sample, damaged)
    return replace(result, sample=result.convert(sample))


def _by_mark(head: bytes) -> tuple[str | None, int]:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            if encoding is None:
                raise Refused("lake.file_not_text")
            return encoding, len(mark)
    return None, 0


def _utf16_without_mark(head: bytes) -> str | None:
    """Text has its zero bytes all at even or all at odd places."""
    zeros = head.count(0)
    if not zeros:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > len(head) * 0.2 and even < odd * 0.05:
        return "utf-16-le"
    if even > len(head) * 0.2 and odd < even * 0.05:
        return "utf-16-be"
    raise Refused("reading.zero_bytes")


def _utf8(path: Path) -> tuple[int, int]:
    """How many letters beyond ASCII the bytes hold as UTF-8, and how many places that are none.

    A large file is looked at in parts; what is wrong between them shows as malformed lines.
    Raises Refused for zero bytes.
    """
    size = path.stat().st_size
    whole = size <= _READ_WHOLE
    letters = wrong = 0
    with path.open("rb") as file:
        for start in [0] if whole else [i * (size // 24) for i in range(24)]:
            file.seek(start)
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            for part in _parts(file, None if whole else 1):
                if b"\x00" in part:
                    raise Refused("reading.zero_bytes")
                if part.isascii():
                    continue
                if not whole:
                    part = part.lstrip(bytes(range(0x80, 0xC0)))
                text = decoder.decode(part)
                wrong += text.count("\ufffd")
                letters += len(text) - len(text.encode("ascii", "ignore"))
    return letters - wrong, wrong


def _parts(file: Any, most: int | None) -> Iterator[bytes]:
    count = 0
    while (most is None or count < most) and (part := file.read(_CHUNK)):
        yield part
        count += 1


def beyond_ascii(path: Path, encoding: str) -> str:
    """The lines of a one-byte text that hold other letters than ASCII's, from all over it."""
    found: list[str] = []
    size = 0
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(_CHUNK), b""):
            if not line.isascii():
                found.append(line.decode(encoding, "replace"))
                size += len(line)
                if size > LOOKED_AT:
                    break
    return "".join(found)


def known(name: str) -> str | None:
    """Python's name for an encoding that people call by many names; None for one we do not read."""
    plain = name.lower().replace("_", "-").replace("ansi ", "cp").strip()
    return _NAMES.get(plain) or _NAMES.get(f"cp{plain}")


def one_byte(text: str) -> str:
    """Which one-byte encoding a text is in that was read as Latin-1: Vietnamese by its words, else
    Western European."""
    raw = text.encode("latin-1")
    count, share = fonts.share_of_syllables(raw.decode("cp1258", "replace"))
    _, western = fonts.share_of_syllables(raw.decode("cp1252", "replace"))
    vietnamese = count >= fonts.ENOUGH_WORDS and share >= fonts.ENOUGH_SHARE and share > western
    if vietnamese and fonts.font_of(text) is None:
        return "cp1258"
    # Codes 80 to 9F are control characters in ISO 8859-1, which nobody writes.
    try:
        raw.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252" if any("\x80" <= c <= "\x9f" for c in text) else "latin-1"


def _decode(head: bytes, encoding: str, cut: bool) -> str:
    text = head.decode(encoding, "ignore" if cut else "replace")
    if cut and "\n" in text:
        text = text[: text.rindex("\n") + 1]
    if "\x00" in text:
        raise Refused("reading.zero_bytes")
    return text
