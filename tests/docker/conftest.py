"""What tests of packages, images and manifests share; helpers of the Python tests lie beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
