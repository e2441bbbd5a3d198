"""What a pack is: a folder of data that makes one monitoring service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dothi.lake.contract import Contract


@dataclass(frozen=True)
class Owner:
    """The agency that answers for a pack's data, by its code and names."""

    code: str
    title: dict[str, str]


@dataclass(frozen=True)
class Reference:
    """Where a pack's figures or rules come from."""

    title: str
    url: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class PackFile:
    """A file that another room reads: its path for messages, and its text."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        """The name of what it defines: the file's own, without its ending."""
        return self.path.stem


@dataclass(frozen=True)
class Pack:
    """One pack, read and checked as far as this room knows; `indicators` and `scores` are still text."""

    name: str
    version: str
    title: dict[str, str]
    owner: Owner
    sources: tuple[Reference, ...]
    folder: Path
    contracts: tuple[Contract, ...]
    indicators: tuple[PackFile, ...]
    scores: tuple[PackFile, ...] = ()
