"""`python -m keras_t3d.cli` runs the command where its script is not on the PATH."""

import sys

from keras_t3d.cli import main

sys.exit(main())
