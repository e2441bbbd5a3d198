"""Vietnamese text: one spelling to store, a key to search by, a key to sort by."""

import re
import unicodedata

# Đ has no decomposition; the Icelandic and African look-alikes are common typing slips for it.
_D_STROKE = str.maketrans({"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "ɖ": "d", "Ɖ": "D"})
_TO_D_STROKE = str.maketrans({"ð": "đ", "ɖ": "đ"})

_BREVE, _CIRCUMFLEX, _HORN = "\u0306", "\u0302", "\u031b"
_ALPHABET = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"
_RANK = {letter: chr(0x41 + place) for place, letter in enumerate(_ALPHABET)}
# Order of the tones in Vietnamese dictionaries: level, then huyền, hỏi, ngã, sắc, nặng.
_TONE = {"\u0300": "1", "\u0309": "2", "\u0303": "3", "\u0301": "4", "\u0323": "5"}
_NO_TONE = "0"

_WORD = re.compile(r"[0-9]+|[^\W\d_]+|\d+")
# Each smaller than the next and than every letter, so that a shorter name comes first.
_END, _NEXT_WORD, _TONES = " ", "!", '"'


def nfc(text: str) -> str:
    """The text with composed letters, as everything is stored (TCVN 6909)."""
    return unicodedata.normalize("NFC", text)


def search_key(text: str) -> str:
    """The text without accents, tones, case and double spaces: "Đắk  LẮK" → "dak lak".

    Two texts a person would take for the same when typing without accents have the same key.
    """
    plain = _bare(_bare(text).casefold())
    return " ".join(plain.split())


def vietnamese_sort_key(text: str) -> str:
    """A key that puts names in Vietnamese order when compared by code point (C collation).

    As in dictionaries, syllable by syllable: first its letters (a ă â … d đ e ê … o ô ơ … u ư),
    then its tone; "Hoa Mai" comes before "Hòa An". Numbers count by value ("Phường 2" before
    "Phường 10"), punctuation and case only where nothing else differs.
    """
    lower = nfc(text).casefold().translate(_TO_D_STROKE)
    words = _WORD.findall(nfc(lower))
    return _NEXT_WORD.join(map(_word_key, words)) + _END + nfc(text)


def _bare(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.translate(_D_STROKE))
    return "".join(c for c in parts if not unicodedata.category(c).startswith("M"))


def _word_key(word: str) -> str:
    if word.isdecimal():
        digits = "".join(str(unicodedata.decimal(c)) for c in word).lstrip("0") or "0"
        # Longer numbers are larger; both characters sort before letters.
        return f"{len(digits):04d}{digits}"
    letters: list[str] = []
    tones: list[str] = []
    for letter in word:
        base, tone = _letter(letter)
        letters.append(_RANK.get(base, base))
        tones.append(tone)
    return "".join(letters) + _TONES + ("".join(tones) or _NO_TONE)


def _letter(letter: str) -> tuple[str, str]:
    """A composed letter as the letter of the alphabet and its tone ("ẫ" → "â", "3")."""
    base, *marks = unicodedata.normalize("NFD", letter)
    shape = [mark for mark in marks if mark in (_BREVE, _CIRCUMFLEX, _HORN)]
    tone = "".join(_TONE.get(mark, "") for mark in marks)
    known = unicodedata.normalize("NFC", base + "".join(shape))
    return (known if known in _RANK else base), tone
