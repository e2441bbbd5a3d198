"""`dothi up` with the small roles of role.py: up.py HOME PORT [ROLE ...]."""

import os
import sys
from pathlib import Path

from dothi.kernel.errors import DothiError
from dothi.store.settings import Settings
from dothi.supervisor import Role, Supervisor

ROLE = str(Path(__file__).with_name("role.py"))


def role(name: str) -> Role:
    argv = [sys.executable, ROLE, name]
    if name == "migrate":
        return Role(name, argv, once=True, database=("DOTHI_DATABASE_URL", "DOTHI_OWNER_URL"))
    silence_s = float(os.environ.get("TEST_SILENCE_S", "30"))
    return Role(name, argv, listens=name.startswith("web"), silence_s=silence_s)


def main() -> int:
    settings = Settings.read(os.environ).with_(home=Path(sys.argv[1]), port=int(sys.argv[2]))
    names = sys.argv[3:] or ["migrate", "worker", "web"]
    try:
        return Supervisor(settings, [role(name) for name in names]).run()
    except DothiError as error:
        print(error.text(settings.lang), file=sys.stderr)
        return 78


if __name__ == "__main__":
    sys.exit(main())
