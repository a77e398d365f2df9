"""Kill a training again and again (SIGKILL) and compare its record with an unbroken one's.

Too slow for the test suite: `make killing`. It saves after every step, so many of the
kills come in the middle of writing a checkpoint.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.run import Run
from resnet_study.training.recipes import get_recipe

RUN = Run(get_recipe("digits", width=4, epochs=100), "plain", 18, seed=3)
CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from killing import RUN
from resnet_study.runs import perform
perform(RUN, runs_dir=Path(sys.argv[1]), device="cpu", checkpoint_seconds=0)
"""


def run_and_kill(runs_dir: Path, chance: random.Random) -> bool:
    """Train on until a random moment after the first new checkpoint; whether it was killed."""
    checkpoint = RUN.checkpoint_path(runs_dir)
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
    child = subprocess.Popen([sys.executable, "-c", CHILD, runs_dir, Path(__file__).parent])
    while child.poll() is None:
        if checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
            time.sleep(chance.uniform(0, 0.5))
            child.kill()
            break
        time.sleep(0.001)
    status = child.wait()
    if status > 0:
        sys.exit(f"the training failed with status {status}")
    return status < 0


def result(path: Path) -> dict:
    """What has to be the same, to the bit."""
    record = json.loads(path.read_text())
    return {key: record[key] for key in ("config", "curve", "final", "diverged_at")}


def main(kills: int) -> None:
    """Kill ``kills`` times, let the training end, compare."""
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        unbroken = perform(RUN, runs_dir=Path(folder) / "unbroken", device="cpu")
        broken = Path(folder) / "broken"
        done = 0
        while done < kills and run_and_kill(broken, chance):
            done += 1
        path = perform(RUN, runs_dir=broken, device="cpu")
        same = result(path) == result(unbroken)
        left = [file.name for file in path.parent.iterdir() if file != path]
    print(f"{done} kills; the record is {'the same to the bit' if same else 'DIFFERENT'}; ", end="")
    print(f"besides the record there are {len(left)} files left: {left}")
    sys.exit(not same or done < kills)


if __name__ == "__main__":
    main(int(sys.argv[1]))
