"""Vietnamese text of any time reads as Unicode; other languages stay what they are."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.lake.engine import engine
from dothi.lake.reading import fonts
from dothi.lake.reading.table import open_table

PLAIN = "aăâeêioôơuưy"
TONES = ("", "\u0300", "\u0309", "\u0303", "\u0301", "\u0323")
LOWER = [unicodedata.normalize("NFC", v + tone) for v in PLAIN for tone in TONES] + ["đ"]
LETTERS = LOWER + [letter.upper() for letter in LOWER]
MOTTO = "Cộng hòa xã hội chủ nghĩa Việt Nam\nĐộc lập - Tự do - Hạnh phúc"
IN_TCVN3 = "Céng hßa x· héi chñ nghÜa ViÖt Nam\n§éc lËp - Tù do - H¹nh phóc"
IN_VNI = "Coäng hoøa xaõ hoäi chuû nghóa Vieät Nam\nÑoäc laäp - Töï do - Haïnh phuùc"
PLACES = ["Đắk Lắk", "Bà Rịa - Vũng Tàu", "Thừa Thiên Huế", "Quảng Ngãi", "Điện Biên", "Bắc Kạn",
          "Cần Thơ", "Hà Tĩnh", "Phú Thọ", "Tuyên Quang", "Kỳ Sơn", "Mỹ Đức"]  # fmt: skip
WESTERN = [
    "Les élèves français préfèrent l'été à Orléans, où le maïs naît près du château",
    "Größere Städte müssen künftig für Straßen und Brücken höhere Gebühren erheben",
    "La población española disminuyó según el último año; niños, señores y pingüinos",
    "São Paulo não é a capital; ações de saúde, educação e informação às regiões",
    "Dåligt väder på Åland: många öar är översvämmade",
]


def in_font(font: str, text: str) -> str:
    """The text as one would have typed it with that font."""
    pairs = fonts._FROM_TCVN3 if font == "tcvn3" else fonts._FROM_VNI
    typed = {v: chr(k) if isinstance(k, int) else k for k, v in reversed(pairs.items())}
    return "".join(typed.get(letter, letter) for letter in text)


@pytest.mark.parametrize(("written", "font"), [(IN_TCVN3, "tcvn3"), (IN_VNI, "vni")])
def test_the_national_motto_is_read_from_old_fonts(written: str, font: str) -> None:
    assert fonts.font_of(written) == font
    assert fonts.CONVERTERS[font](written) == MOTTO


def test_every_letter_comes_back_from_vni() -> None:
    for letter in set(LETTERS) - set("aeiouyAEIOUY"):
        typed = in_font("vni", letter)
        assert typed != letter or letter in "íìÍÌ"
        assert fonts.from_vni(typed) == letter


def test_every_small_letter_comes_back_from_tcvn3() -> None:
    """TCVN3 has capitals with tones only in separate fonts, where they share the small letters'
    codes."""
    assert len(fonts._FROM_TCVN3) == 0xFE - 0xA1 + 1
    for letter in [*LOWER, *"ĂÂÊÔƠƯĐ"]:
        typed = in_font("tcvn3", letter)
        assert typed.isascii() == (letter in "aeiouy")
        assert fonts.from_tcvn3(typed) == letter


@given(st.lists(st.sampled_from(PLACES), min_size=4, max_size=12, unique=True))
def test_names_of_provinces_show_which_font_they_are_in(names: list[str]) -> None:
    text = "\n".join(names)
    assert fonts.font_of(text) is None
    for font in ("tcvn3", "vni"):
        assert fonts.font_of(in_font(font, text)) == font


@given(st.permutations([word for text in WESTERN for word in text.split()]))
def test_western_european_words_are_not_taken_for_vietnamese(words: list[str]) -> None:
    assert fonts.font_of(" ".join(words)) is None


@pytest.mark.parametrize("text", WESTERN)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])
def test_a_western_european_file_is_not_damaged(text: str, encoding: str, tmp_path: Path) -> None:
    assert read(tmp_path, f'n,text\n1,"{text}"\n', encoding) == [("1", text)]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1258"]
)
def test_vietnamese_is_read_from_every_encoding(encoding: str, tmp_path: Path) -> None:
    rows = [(str(i), name) for i, name in enumerate(PLACES)]
    text = "số;tên\r\n" + "".join(f"{i};{name}\r\n" for i, name in rows)
    assert read(tmp_path, text, encoding) == rows


@pytest.mark.parametrize("font", ["tcvn3", "vni"])
@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_a_file_in_an_old_font_is_read_as_unicode(font: str, encoding: str, tmp_path: Path) -> None:
    rows = [(str(i), name) for i, name in enumerate(PLACES)]
    text = "n;name\n" + "".join(f"{i};{in_font(font, name)}\n" for i, name in rows)
    assert read(tmp_path, text, encoding) == rows


@given(st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]), st.lists(st.text(
    st.characters(codec="utf-8", exclude_characters='\r\n\x00"<\ufeff', exclude_categories=["C"]),
    min_size=1, max_size=20).filter(lambda t: t.strip()), min_size=1, max_size=8))  # fmt: skip
def test_any_unicode_text_comes_back_as_it_was(encoding: str, texts: list[str]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        body = "".join(f'"{i}","{text}"\n' for i, text in enumerate(texts))
        got = read(Path(folder), "n,text\n" + body, encoding, font_may_be_guessed=False)
    assert got == [(str(i), text) for i, text in enumerate(texts)]


def read(
    folder: Path, text: str, encoding: str, *, font_may_be_guessed: bool = True
) -> list[tuple[str, ...]]:
    path = folder / "upload"
    if encoding == "cp1258":
        apart = "".join(c if len(c.encode("cp1258", "ignore")) else _marks_apart(c) for c in text)
        path.write_bytes(apart.encode("cp1258"))
    else:
        path.write_bytes(text.encode(encoding))
    how = {} if font_may_be_guessed else {"delimiter": ","}
    with engine(1, "200MB") as root:
        table = open_table(root, path, how, folder)
        return root.execute(f"SELECT * FROM {table.relation}").fetchall()


def _marks_apart(letter: str) -> str:
    """As windows-1258 writes it: the vowel as one character, the tone after it."""
    apart = unicodedata.normalize("NFD", letter)
    tone = next((c for c in apart if c in TONES[1:]), "")
    return unicodedata.normalize("NFC", apart.replace(tone, "")) + tone
