"""The forward and backward pass as one CUDA graph.

A small network on a fast GPU waits for the launches of its hundreds of kernels; a graph
launches them all at once. It needs batches of one shape; see the PyTorch documentation, "CUDA
semantics", section "CUDA graphs".
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Gradients = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Computes the gradients of a batch (images, labels) and returns (logits, loss)."""

WARM_UP = 3  # passes before the capture, in which libraries choose and allocate


class GraphedGradients:
    """``compute`` for batches like the first one it is called with, replayed as a graph."""

    def __init__(self, compute: Gradients, model: nn.Module):
        self.compute = compute
        self.model = model
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if self.graph is None:
            self.graph = self._capture(images, labels)
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.graph.replay()
        if self.parameters[0].grad is not self.gradients[0]:
            # A batch of another size has put other tensors there in the meantime.
            for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
                parameter.grad = gradient
        return self.logits, self.loss

    def _capture(self, images: Tensor, labels: Tensor) -> torch.cuda.CUDAGraph:
        self.images, self.labels = images.clone(), labels.clone()
        statistics = [buffer.clone() for buffer in self.model.buffers()]
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self.compute(self.images, self.labels)
        torch.cuda.current_stream().wait_stream(aside)
        for buffer, before in zip(self.model.buffers(), statistics, strict=True):
            buffer.copy_(before)
        self.model.zero_grad()
        graph = torch.cuda.CUDAGraph()
        # Threads that pin batches for the GPU may go on meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self.logits, self.loss = self.compute(self.images, self.labels)
        self.parameters = list(self.model.parameters())
        self.gradients = [parameter.grad for parameter in self.parameters]
        return graph
