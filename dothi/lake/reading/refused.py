"""Why a file is not read."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """The file is not read: `key` of the catalogue, `params` say what, where and which limit."""

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(key, params)
        self.key = key
        self.params = params

    def fault(self) -> dict[str, Any]:
        """As it leaves the jail."""
        return {"key": self.key, **self.params}
