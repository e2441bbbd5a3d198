"""`python -m dothi`."""

import sys

from dothi.cli import main

sys.exit(main())
