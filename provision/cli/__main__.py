"""``python -m provision.cli``: the same as ``elysium``."""

import sys

from provision.cli.main import main

sys.exit(main())
