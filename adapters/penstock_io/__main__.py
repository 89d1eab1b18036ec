"""`python -m penstock_io` is `penstock`."""

from __future__ import annotations

import sys

from penstock_io.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
