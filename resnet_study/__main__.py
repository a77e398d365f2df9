"""``python -m resnet_study``."""

import os
import sys

# Called in the folder of this package, which has modules named like some of the standard library.
_here = os.path.dirname(os.path.realpath(__file__))
sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder) != _here]

from resnet_study.cli import main  # noqa: E402

main()
