"""Where things lie in a checkout of the study."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
RUNS = ROOT / "data" / "runs"  # committed records, one file a run
MEASUREMENTS = ROOT / "data" / "measurements"  # committed tables of what is inside networks
BENCHMARKS = ROOT / "data" / "benchmarks"  # committed results of benchmarks/
EXECUTIONS = ROOT / "data" / "executions.json"  # committed log of the notebooks' executions
PAPER = ROOT / "data" / "paper"  # curves of He et al. 2015
DOWNLOADS = ROOT / "data" / "downloads"  # data sets fetched by torchvision; not committed
BUILD = ROOT / "_build"  # the rendered book; not committed
REPRODUCTION = BUILD / "reproduction"  # what ``make reproduce`` trains, executes and reports
