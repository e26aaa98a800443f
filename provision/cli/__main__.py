"""``python -m provision.cli``: the same as ``elysium``."""

import sys

from provision.cli.start import main

sys.exit(main())
