"""`python -m cloudypoints` is the command `cloudypoints`."""

import sys

from cloudypoints.cli import main

sys.exit(main())
