"""Kill a training again and again (SIGKILL) and compare its record with an unbroken one's.

Too slow for the test suite: `make killing`. It saves after every step, so many of the
kills come in the middle of writing a checkpoint.
"""

import argparse
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


def run_and_kill(run: Run, runs_dir: Path, chance: random.Random) -> bool:
    """Train on until a random moment after the first new checkpoint; whether it was killed."""
    checkpoint = run.checkpoint_path(runs_dir)
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
    options = ["--family", run.family, "--depth", run.depth, "--seed", run.seed]
    options += ["--width", run.recipe.width, "--epochs", run.recipe.epochs]
    options += ["--runs-dir", runs_dir, "--device", "cpu", "--checkpoint-seconds", 0]
    child = subprocess.Popen(
        [sys.executable, "-m", "resnet_study", "run", *map(str, options)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
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


def main(kills: int, epochs: int) -> None:
    """Kill a training of so many epochs ``kills`` times, let it end, compare."""
    chance = random.Random(0)
    run = Run(get_recipe("digits", width=4, epochs=epochs), "plain", 18, seed=3)
    with tempfile.TemporaryDirectory() as folder:
        unbroken = perform(run, runs_dir=Path(folder) / "unbroken", device="cpu")
        broken = Path(folder) / "broken"
        done = 0
        while done < kills and run_and_kill(run, broken, chance):
            done += 1
        path = perform(run, runs_dir=broken, device="cpu")
        same = result(path) == result(unbroken)
        left = [file.name for file in path.parent.iterdir() if file != path]
    print(f"{done} kills; the record is {'the same to the bit' if same else 'DIFFERENT'}; ", end="")
    print(f"besides the record there are {len(left)} files left: {left}")
    sys.exit(not same or done < kills)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kills", type=int)
    parser.add_argument("--epochs", type=int, default=100)
    main(**vars(parser.parse_args()))
