"""Packs are taken into use and out of it while dothi runs: all of one or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from dothi.identity.accounts import first_admin
from dothi.identity.passwords import Passwords
from dothi.indicators import installing, service
from dothi.kernel.errors import Conflict, Invalid, NotFound
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.defining import refuse_of_pack
from dothi.packs.begin import begin
from dothi.store.database import Database
from dothi.store.settings import Settings, shipped_packs


@pytest.fixture
def house(db: Database, tmp_path: Path) -> Settings:
    """A home with the shipped packs in use."""
    settings = Settings(home=tmp_path / "home", packs=shipped_packs())
    settings.home.mkdir()
    with db.transaction() as conn:
        first_admin(conn, "a first password", Passwords(memory_kib=1024, passes=1))
        installing.bring(conn, installing.usable(settings)[0])
    return settings


@pytest.fixture
def river(tmp_path: Path) -> Path:
    begin(tmp_path / "river-watch", "so-nnmt")
    return tmp_path / "river-watch"


def names(db: Database) -> set[str]:
    with db.transaction() as conn:
        return {one.name for one in service.indicators(conn)}


def acts(db: Database) -> list[str]:
    with db.transaction() as conn:
        rows = conn.execute("SELECT kind FROM event WHERE subject = 'pack:river-watch' ORDER BY id")
        return [kind for (kind,) in rows]


def test_a_pack_comes_is_replaced_and_goes(db: Database, house: Settings, river: Path) -> None:
    (river / ".hidden").write_text("an editor's leftovers")
    assert installing.put(db, house, river).name == "river-watch"
    assert "river_watch_daily" in names(db) and "vn_aqi_daily" in names(db)
    copy = house.own_packs / "river-watch"
    assert (copy / "pack.yaml").is_file() and not (copy / ".hidden").exists()

    text = (river / "pack.yaml").read_text().replace("0.1.0", "0.2.0")
    (river / "pack.yaml").write_text(text)
    assert installing.put(db, house, river).version == "0.2.0"
    assert "0.2.0" in (copy / "pack.yaml").read_text()
    with pytest.raises(Conflict):
        installing.put(db, house, copy)

    installing.remove(db, house, "river-watch")
    assert "river_watch_daily" not in names(db) and "vn_aqi_daily" in names(db)
    assert list(house.own_packs.iterdir()) == []
    with db.transaction() as conn:
        assert registry.find(conn, "river_watch").name == "river_watch"
    with pytest.raises(NotFound):
        installing.remove(db, house, "river-watch")
    with pytest.raises(NotFound):
        installing.remove(db, house, "environment")
    assert acts(db) == ["audit.pack.installed"] * 2 + ["audit.pack.removed"]


def test_what_cannot_be_used_leaves_nothing(db: Database, house: Settings, river: Path) -> None:
    sql = river / "indicators" / "river_watch_daily.sql"
    good = sql.read_text()
    sql.write_text(good.replace("[level]", "[nothing]"))
    with pytest.raises(Invalid):
        installing.put(db, house, river)
    sql.write_text(good)
    with db.transaction() as conn:
        text = (river / "datasets" / "river_watch.yaml").read_text().replace("[station]", "[gauge]")
        registry.register(conn, parse_contract(text))
    with pytest.raises(Conflict):
        installing.put(db, house, river)
    river.rename(river.parent / "environment")
    with pytest.raises(Conflict):
        installing.put(db, house, river.parent / "environment")
    assert "river_watch_daily" not in names(db) and acts(db) == []
    assert not house.own_packs.exists() or list(house.own_packs.iterdir()) == []


def test_one_that_a_newer_version_cannot_use_is_left_out_of_the_start(
    db: Database, house: Settings, river: Path
) -> None:
    installing.put(db, house, river)
    file = house.own_packs / "river-watch" / "indicators" / "river_watch_daily.sql"
    file.write_text(file.read_text().replace("better:", "besser:"))
    packs, faults = installing.usable(house)
    assert {pack.name for pack in packs} == {"environment", "public-services"}
    assert faults and all(str(file) in fault.where for fault in faults)


def test_a_pack_that_another_reads_stays(db: Database, house: Settings, river: Path) -> None:
    installing.put(db, house, river)
    other = river.parent / "flood"
    begin(other, "so-nnmt")
    sql = other / "indicators" / "flood_daily.sql"
    sql.write_text(sql.read_text().replace("flood: [level]", "river_watch: [level]")
                   .replace("FROM flood", "FROM river_watch"))  # fmt: skip
    case = other / "tests" / "flood_daily.yaml"
    case.write_text(case.read_text().replace("  flood:", "  river_watch:"))
    installing.put(db, house, other)
    with pytest.raises(Invalid) as caught:
        installing.remove(db, house, "river-watch")
    assert "flood_daily" in caught.value.faults[0].text("en")
    assert "river_watch_daily" in names(db)
    installing.remove(db, house, "flood")
    installing.remove(db, house, "river-watch")


def test_the_contract_of_a_packs_dataset_is_changed_in_the_pack(
    db: Database, house: Settings, river: Path
) -> None:
    refuse_of_pack(house, "river_watch")
    installing.put(db, house, river)
    for name in ("river_watch", "air_quality"):
        with pytest.raises(Conflict) as caught:
            refuse_of_pack(house, name)
        assert "dothi pack install" in caught.value.text("en")
    refuse_of_pack(house, "../river_watch")
