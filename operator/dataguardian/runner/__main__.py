"""``python -m dataguardian.runner backup|copy|restore|sync|cleanup|index|expire|probe``."""

from __future__ import annotations

import sys

from . import main

sys.exit(main(sys.argv[1]))
