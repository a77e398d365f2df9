import pytest
import torch
from conftest import random_images
from torch.nn import functional as F

from resnet_study.data.datasets import make_dataset
from resnet_study.models.networks import build_model
from resnet_study.training.graphs import GraphedGradients
from resnet_study.training.loop import train
from resnet_study.training.recipes import get_recipe

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")


def make_model():
    torch.manual_seed(0)
    return build_model("residual", 8, classes=3, channels=1, stem="small", width=4).cuda().train()


def compute(model):
    """The gradients of a batch, launched kernel by kernel."""

    def gradients(images, labels):
        model.zero_grad()
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        return logits.detach(), loss.detach()

    return gradients


def test_a_graph_computes_what_single_launches_do():
    """Also after a batch of another size, and with statistics that the warm-up did not touch."""
    eager, graphed = make_model(), make_model()
    single, graph = compute(eager), GraphedGradients(compute(graphed), graphed)
    for seed in range(3):
        batch = random_images(16, seed=seed)
        images, labels = batch.images.float().cuda() / 255, batch.labels.cuda()
        for one, other in zip(single(images, labels), graph(images, labels), strict=True):
            torch.testing.assert_close(one, other)
        for one, other in zip(eager.parameters(), graphed.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-5)
        for one, other in zip(eager.buffers(), graphed.buffers(), strict=True):
            torch.testing.assert_close(one, other)
        for gradients in (single, compute(graphed)):
            gradients(images[:5], labels[:5])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_on_a_gpu_learns_what_one_on_the_cpu_does(precision):
    data = make_dataset(random_images(200), random_images(60, seed=1))
    recipe = get_recipe("digits", epochs=10, batch=16, precision=precision)
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        model = build_model("residual", 8, classes=3, channels=1, stem="small", width=4)
        history = train(model, data.to(device), recipe, seed=0)
        assert history.curve[0].training_error > 10
        assert history.clean_training_error < 5
