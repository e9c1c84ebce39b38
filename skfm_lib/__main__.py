"""`python -m skfm_lib` is `skfm`."""

import sys

from skfm_lib.cli.main import main

sys.exit(main())
