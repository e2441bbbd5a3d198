"""Static files at addresses that carry the hash of their content, cached by browsers for a year.

There are two trees, our own files (``app``) and the browser libraries (``vendor``), and one digest
for each: ``/static/<tree>/<digest>/<path>``. Inside a tree files name each other by relative
addresses, so ES modules, fonts and MapLibre's worker load without an import map or a bundler.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"
PREFIX = "/static"
VENDOR = "vendor"
FOREVER = "public, max-age=31536000, immutable"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
TEXT = {".js", ".mjs", ".css", ".svg"}


@dataclass(frozen=True)
class Asset:
    """One file as it is served."""

    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class _File:
    path: Path
    media_type: str
    packed: bytes | Path | None


class Assets:
    """The manifest of all static files, read once at start."""

    def __init__(self, root: Path = STATIC) -> None:
        """Raises FileNotFoundError when the browser libraries were never fetched."""
        if not (root / VENDOR).is_dir():
            raise FileNotFoundError(f"{root / VENDOR} is missing: run `make setup`")
        self._files = {"app": _scan(root, skip=VENDOR), VENDOR: _scan(root / VENDOR)}
        self._digests = {tree: _digest(found) for tree, found in self._files.items()}
        self.build = self._digests["app"] + self._digests[VENDOR]

    def url(self, path: str) -> str:
        """The address of ``css/base.css`` or ``vendor/htmx/htmx.min.js``; KeyError if there is none."""
        tree, _, inner = path.partition("/")
        if tree != VENDOR:
            tree, inner = "app", path
        if inner not in self._files[tree]:
            raise KeyError(f"no static file {path}")
        return f"{PREFIX}/{tree}/{self._digests[tree]}/{inner}"

    def base(self, tree: str) -> str:
        """The address below which a tree's files lie, for scripts that load more on demand."""
        return f"{PREFIX}/{tree}/{self._digests[tree]}/"

    def find(self, tree: str, digest: str, path: str, accept_encoding: str = "") -> Asset | None:
        """The file at ``/static/<tree>/<digest>/<path>``; None when there is none.

        A digest of an earlier build answers with today's file, not to be cached: a screen left open
        over an update goes on working until it reloads.
        """
        file = self._files.get(tree, {}).get(path)
        if file is None:
            return None
        headers = {
            "content-type": file.media_type,
            "cache-control": FOREVER if digest == self._digests[tree] else "no-cache",
            "x-content-type-options": "nosniff",
        }
        if file.packed is None:
            return Asset(file.path.read_bytes(), headers)
        headers["vary"] = "accept-encoding"
        if "gzip" not in accept_encoding:
            return Asset(file.path.read_bytes(), headers)
        headers["content-encoding"] = "gzip"
        packed = file.packed
        return Asset(packed if isinstance(packed, bytes) else packed.read_bytes(), headers)


def _scan(root: Path, skip: str = "") -> dict[str, _File]:
    found: dict[str, _File] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if not path.is_file() or path.suffix == ".gz" or hidden:
            continue
        if skip and name.startswith(skip):
            continue
        guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
        found[name] = _File(path, TYPES.get(path.suffix, guessed), _packed(path))
    return found


def _packed(path: Path) -> bytes | Path | None:
    if path.suffix not in TEXT:
        return None
    beside = path.with_name(path.name + ".gz")
    return beside if beside.is_file() else gzip.compress(path.read_bytes(), 6, mtime=0)


def _digest(files: dict[str, _File]) -> str:
    total = hashlib.sha256()
    for name, file in files.items():
        total.update(name.encode() + b"\0" + hashlib.sha256(file.path.read_bytes()).digest())
    return total.hexdigest()[:12]
