"""Mangled bytes of every form: a table, or a refusal with its reason; never anything else."""

from __future__ import annotations

import gzip
import resource
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dothi.kernel.i18n import LANGS, t
from dothi.lake.engine import engine
from dothi.lake.reading.describe import describe
from dothi.lake.reading.refused import Refused
from tests.integration.reading.test_forms import FORMS, as_features, as_geopackage, as_shapefile

WHOLE = {**FORMS, "geojson": as_features, "geopackage": as_geopackage, "shapefile": as_shapefile}
MOST_CPU_S = 10.0


@cache
def whole(form: str) -> bytes:
    """A sound file of this form."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        WHOLE[form](path)
        return path.read_bytes()


@st.composite
def mangled(draw: st.DrawFn, data: bytes) -> bytes:
    """The file with bytes changed, cut out, repeated, put in, or its end missing."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(out) - 1)))
        much = draw(st.integers(1, 64))
        way = draw(st.sampled_from(["flip", "put", "cut", "again", "end", "long", "move"]))
        if way == "flip" and out:
            out[at] ^= 1 << draw(st.integers(0, 7))
        elif way == "put":
            out[at:at] = draw(st.binary(min_size=1, max_size=16))
        elif way == "cut":
            del out[at : at + much]
        elif way == "again":
            out[at:at] = out[at : at + much] * draw(st.integers(1, 20))
        elif way == "end":
            del out[at:]
        elif way == "long":
            out[at : at + 4] = draw(
                st.sampled_from([b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80"])
            )
        else:
            part = out[at : at + much]
            del out[at : at + much]
            to = draw(st.integers(0, len(out)))
            out[to:to] = part
    return bytes(out)


def look(path: Path, work: Path) -> None:
    """Look at the file as the jailed job does; any other exception than Refused is a failure."""
    began = _cpu()
    with engine(1, "256MB") as root:
        try:
            found = describe(root, path, {}, work)
        except Refused as refused:
            for lang in LANGS:
                assert t(refused.key, lang, **refused.params)
        except duckdb.OutOfMemoryException:
            pass  # said by the jail as what it is
        else:
            assert found["columns"]
            assert len(found["rows"]) <= 10
    assert _cpu() - began < MOST_CPU_S


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("form", WHOLE)
def test_a_mangled_file_is_a_table_or_refused(form: str) -> None:
    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        content = data.draw(mangled(whole(form)))
        with TemporaryDirectory() as folder:
            path, work = Path(folder) / "upload", Path(folder) / "work"
            work.mkdir()
            path.write_bytes(content)
            look(path, work)

    check()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
@given(content=st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_any_bytes_are_a_table_or_refused(content: bytes) -> None:
    for packed in (content, gzip.compress(content)):
        with TemporaryDirectory() as folder:
            path, work = Path(folder) / "upload", Path(folder) / "work"
            work.mkdir()
            path.write_bytes(packed)
            look(path, work)
