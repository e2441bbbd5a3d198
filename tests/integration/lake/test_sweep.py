"""What killed loads leave in the folder of files does not stay there."""

from datetime import UTC, datetime, timedelta

from dothi.lake.files import FileStore


def test_what_a_killed_load_left_goes_after_a_day_and_kept_files_stay(tmp_path):
    store = FileStore(tmp_path / "files")
    source = tmp_path / "source.csv"
    source.write_text("time,station\n")
    store.keep(source, b"\x01" * 32)
    (store.folder / "upload-abc").write_text("half")
    (store.folder / "load-abc").mkdir()
    (store.folder / "load-abc" / "rows.parquet").write_text("half")
    (store.folder / "copy-abc").write_text("half")
    now = datetime.now(UTC)
    assert store.sweep(now) == 0
    assert store.sweep(now + timedelta(days=1, minutes=1)) == 3
    assert [path.name for path in store.folder.rglob("*") if path.is_file()] == ["01" * 32]
