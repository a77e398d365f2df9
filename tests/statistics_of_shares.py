"""Under torchrun: the running means of batch normalisation after two passes over uneven shares.

python tests/statistics_of_shares.py OUTPUT
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn

from resnet_study.processes import is_leader, rank
from resnet_study.training.distributed import average_statistics, parallel, process_group

if __name__ == "__main__":
    torch.set_num_threads(1)
    with process_group(torch.device("cpu")):
        model = nn.Sequential(nn.BatchNorm2d(1, momentum=0.5), nn.Flatten(), nn.Linear(4, 2))
        network = parallel(model).train()
        for _ in range(2):
            network(torch.full((3, 1, 2, 2), 10.0 * rank())).sum().backward()
        average_statistics(model)
        if is_leader():
            Path(sys.argv[1]).write_text(json.dumps(model[0].running_mean.tolist()))
