"""Vietnamese of the time before Unicode: letters that only their font showed rightly.

TCVN3 ("ABC", fonts .VnTime …) is the one-byte code of TCVN 5712:1993; VNI (fonts VNI-Times …) writes
a letter and then its marks. Either stands in files as characters of Latin-1. Whether a text is
one of them is told by its words: read so they are Vietnamese syllables, as they stand they are not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

ENOUGH_WORDS = 3
ENOUGH_SHARE = 0.8

# TCVN 5712:1993, codes A1 to FE in order.
_TCVN3 = (
    "ĂÂÊÔƠƯĐăâêôơưđẶ\u0300\u0309\u0303\u0301\u0323àảãáạẲằẳẵắẴẮẦẨẪẤỀặầẩẫấậèỂẻẽéẹềểễếệìỉỄẾỒĩíịòỔỏõóọ"
    "ồổỗốộờởỡớợùỖủũúụừửữứựỳỷỹýỵ"
)
_FROM_TCVN3 = {0xA1 + i: letter for i, letter in enumerate(_TCVN3)}

# The second character of a VNI pair, by what it adds to the letter before it.
_ACUTE, _GRAVE, _HOOK, _TILDE, _DOT = "\u0301", "\u0300", "\u0309", "\u0303", "\u0323"
_CIRCUMFLEX, _BREVE = "\u0302", "\u0306"
_PLAIN_MARKS = {"ù": _ACUTE, "ø": _GRAVE, "û": _HOOK, "õ": _TILDE, "ï": _DOT}
_HAT_MARKS = {
    "â": _CIRCUMFLEX, "á": _CIRCUMFLEX + _ACUTE, "à": _CIRCUMFLEX + _GRAVE,
    "å": _CIRCUMFLEX + _HOOK, "ã": _CIRCUMFLEX + _TILDE, "ä": _CIRCUMFLEX + _DOT,
}  # fmt: skip
_BREVE_MARKS = {
    "ê": _BREVE, "é": _BREVE + _ACUTE, "è": _BREVE + _GRAVE,
    "ú": _BREVE + _HOOK, "ü": _BREVE + _TILDE, "ë": _BREVE + _DOT,
}  # fmt: skip
_VNI_ALONE = {
    "í": "í", "ì": "ì", "æ": "ỉ", "ó": "ĩ", "ò": "ị", "ô": "ơ", "ö": "ư", "ñ": "đ", "î": "ỵ",
}  # fmt: skip


def _vni() -> dict[str, str]:
    pairs: dict[str, str] = dict(_VNI_ALONE)
    for base in "aeouyôö":
        marks = dict(_PLAIN_MARKS)
        if base in "aeo":
            marks |= _HAT_MARKS
        if base == "a":
            marks |= _BREVE_MARKS
        if base == "y":
            del marks["ï"]
        letter = _VNI_ALONE.get(base, base)
        for mark, adds in marks.items():
            pairs[base + mark] = unicodedata.normalize("NFC", letter + adds)
    for pair, letter in list(pairs.items()):
        pairs[pair.upper()] = letter.upper()
        pairs[pair[0].upper() + pair[1:]] = letter.upper()
    return pairs


_FROM_VNI = _vni()
_VNI_PAIR = re.compile("|".join(sorted(map(re.escape, _FROM_VNI), key=len, reverse=True)))


def from_tcvn3(text: str) -> str:
    """TCVN3 shown as Latin-1 becomes Unicode (NFC)."""
    return unicodedata.normalize("NFC", text.translate(_FROM_TCVN3))


def from_vni(text: str) -> str:
    """VNI shown as Latin-1 becomes Unicode (NFC)."""
    return _VNI_PAIR.sub(lambda found: _FROM_VNI[found[0]], text)


CONVERTERS: dict[str, Callable[[str], str]] = {"tcvn3": from_tcvn3, "vni": from_vni}

# With the onsets and the final k of the Central Highlands' names: Krông, Plei, Đắk.
_ONSET = "(?:ngh|ng|nh|ch|gh|gi|kh|ph|qu|th|tr|kr|pl|[bcdđghklmnprstvx])?"
_RHYME = (
    "(?:a[ciumnopty]?|anh|ach|ang|ay|ao|au|ă[cmnpt]|ăng|â[cmnpt]|âng|ây|âu|e[cmnpto]?|eng|"
    "ê[cmnptu]?|ênh|êch|i[cmnptau]?|inh|ich|iê[cmntpu]|iêng|yê[mntu]|yêt|yêng|ia|"
    "o[cmnpti]?|ong|oa[cimnopty]?|oang|oanh|oach|oay|oă[cmnt]|oăng|oe[nmto]?|"
    "ô[cmnpti]?|ông|ơ[mnpti]?|u[acmnpti]?|ung|uâ[nty]|uâng|uê|uêch|uênh|uy[anptu]?|uyê[nt]|uynh|uych|"
    "uô[cmnti]|uông|uơ|ư[acmntiu]?|ưng|ươ[cmnptiu]|ương|y[tmnp]?|oong|oao|oeo|uyn|uyt|uya|uyu|ooc|ua)"
)
_SYLLABLE = re.compile(_ONSET + _RHYME)
_TONES = dict.fromkeys(map(ord, (_ACUTE, _GRAVE, _HOOK, _TILDE, _DOT)))
_STOPS = ("c", "ch", "p", "t")


def is_syllable(word: str) -> bool:
    """Whether the word could stand in a Vietnamese dictionary, by its letters and its tone."""
    apart = unicodedata.normalize("NFD", word.lower())
    tones = [c for c in apart if ord(c) in _TONES]
    plain = unicodedata.normalize("NFC", apart.translate(_TONES))
    if plain.endswith("k") and len(plain) > 1:
        plain = plain[:-1] + "c"
    if len(tones) > 1 or not _SYLLABLE.fullmatch(plain):
        return False
    # A syllable closed by a stop has only the rising or the heavy tone.
    return not (plain.endswith(_STOPS) and tones and tones[0] not in (_ACUTE, _DOT))


def share_of_syllables(text: str) -> tuple[int, float]:
    """Of the words with letters beyond ASCII: how many different ones, and which share of them
    are Vietnamese syllables."""
    words = {word for word in _words(text) if not word.isascii()}
    good = sum(map(is_syllable, words))
    return len(words), good / len(words) if words else 0.0


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", text))


def font_of(text: str) -> str | None:
    """ "tcvn3", "vni", or None for text that means what it says."""
    if not any("\u0080" <= c <= "\u00ff" for c in text):
        return None
    _, as_it_stands = share_of_syllables(text)
    best, best_share = None, max(ENOUGH_SHARE, as_it_stands + 0.1)
    for name, convert in CONVERTERS.items():
        # Symbols are letters in these codes: what counts as a word shows only after reading.
        tokens = {t for t in re.split(r"[\s\x00-\x40\[-`{-\x7f]+", text) if t and not t.isascii()}
        read = {convert(token) for token in tokens}
        words = {w for w in read if not w.isascii()}
        if len(words) < ENOUGH_WORDS:
            continue
        share = sum(map(is_syllable, words)) / len(words)
        if share >= best_share:
            best, best_share = name, share
    return best
