"""The live pieces: nets in the page that are torch's, and charts that answer."""

import json
import re
from itertools import product

import browser
import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from live import MOST_POINTS, PIECES, asked, thinned
from sklearn.datasets import load_digits
from still import STILL, trained
from torch.nn import functional as F
from visit import PATIENCE

from resnet_study import paths
from resnet_study.diagnostics.norms import layer_norms
from resnet_study.models.fully_connected import build_fully_connected
from resnet_study.pipeline.measurements import MEASUREMENTS, MOMENTS
from resnet_study.pipeline.records import read_record
from resnet_study.pipeline.run import Run
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.training.recipes import get_recipe

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        browser.find() is None, reason="no browser is installed: apt-get install chromium"
    ),
]
NET = paths.ROOT / "book" / "_static" / "net.js"
PAGES = {"try": "try", "objections": "objections_live", "film": "film"}  # of each piece
HEAVIEST = 300_000  # bytes of a piece's data
BATCH, STEPS, RATE, MOMENTUM, DECAY = 16, 4, 0.05, 0.9, 1e-4


@pytest.fixture(scope="module")
def opened():
    with browser.opened() as opened:
        yield opened


# The nets, beside torch's.


@pytest.fixture(scope="module")
def scripted(opened):
    """An empty page that knows the nets."""
    page = opened.new_page()
    page.add_script_tag(path=NET)
    yield page
    page.context.close()


def _start(scripted, **config):
    """Parameters of a new net in the page, in torch's order."""
    usual = {"depth": 6, "width": 8, "inputs": 64, "batch": BATCH, "zeroGamma": False, "seed": 3}
    usual |= {"shortcut": False, "normalised": True, "activation": "relu", "start": "he"}
    values = scripted.evaluate(
        """(config) => {
          window.net = new (studyNets().Net)(config);
          return net.parameters.map(({ value }) => [...value]);
        }""",
        usual | config,
    )
    return [torch.tensor(value, dtype=torch.float64) for value in values]


def _step(scripted, images, labels):
    """Logits, loss, gradients, norms by layer and, after a step, parameters of the page's net."""
    found = scripted.evaluate(
        """([images, labels, rate, momentum, decay]) => {
          net.forward(Float64Array.from(images));
          const logits = [...net.logits];
          const { loss, missed } = net.loss(labels);
          const norms = net.backward(Float64Array.from(images));
          const gradients = net.parameters.map(({ gradient }) => [...gradient]);
          net.step(rate, momentum, decay);
          return { logits, loss, missed, norms, gradients,
            values: net.parameters.map(({ value }) => [...value]) };
        }""",
        [images.flatten().tolist(), labels.tolist(), RATE, MOMENTUM, DECAY],
    )
    return {
        name: [torch.tensor(part, dtype=torch.float64) for part in value]
        if name in ("gradients", "values")
        else torch.tensor(value, dtype=torch.float64)
        for name, value in found.items()
    }


def _as_in_the_page(parameter):
    """Weights lie in the page as inputs × units, in torch the other way round."""
    return parameter.detach().T.flatten() if parameter.ndim == 2 else parameter.detach()


def _put(model, values):
    """Give a model the parameters of the page."""
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            shape = parameter.T.shape if parameter.ndim == 2 else parameter.shape
            value = value.reshape(shape)
            parameter.copy_(value.T if parameter.ndim == 2 else value)


@pytest.mark.parametrize(
    ("activation", "normalised", "shortcut"),
    list(product(("sigmoid", "tanh", "relu"), (False, True), (False, True))),
)
def test_a_net_in_the_page_is_torchs_and_learns_as_it_does(
    scripted, activation, normalised, shortcut
):
    options = {"activation": activation, "normalised": normalised, "shortcut": shortcut}
    values = _start(scripted, **options)
    model = build_fully_connected(6, width=8, inputs=64, classes=10, **options).double()
    _put(model, values)
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    blocks = ("0", "1", "2") if shortcut else ("1", "3", "5")
    close = {"rtol": 1e-5, "atol": 1e-9}
    torch.manual_seed(0)
    for _ in range(STEPS):
        images = torch.randn(BATCH, 64, dtype=torch.float64)
        labels = torch.randint(10, (BATCH,))
        norms = layer_norms(model, images, labels, ["stem", *(f"body.{b}" for b in blocks)])
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        found = _step(scripted, images, labels)
        torch.testing.assert_close(found["logits"], logits.detach().flatten(), **close)
        torch.testing.assert_close(found["loss"], loss.detach(), **close)
        assert found["missed"] == (logits.argmax(dim=1) != labels).sum()
        torch.testing.assert_close(found["norms"], torch.tensor(norms.gradient.to_numpy()), **close)
        for gradient, parameter in zip(found["gradients"], model.parameters(), strict=True):
            torch.testing.assert_close(gradient, _as_in_the_page(parameter.grad), **close)
        optimiser.step()
        for value, parameter in zip(found["values"], model.parameters(), strict=True):
            torch.testing.assert_close(value, _as_in_the_page(parameter), **close)


@pytest.mark.parametrize(("start", "variance"), [("he", 2), ("lecun", 1)])
def test_drawn_weights_have_the_variance_of_their_start(scripted, start, variance):
    stem = _start(scripted, width=64, start=start)[0]
    assert stem.mean().abs() < 0.01
    assert stem.var() * 64 == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize(("activation", "square"), [("relu", 2), ("tanh", 1)])
def test_orthogonal_weights_have_columns_of_one_length(scripted, activation, square):
    stem, _, square_layer, *_ = _start(
        scripted, start="orthogonal", activation=activation, normalised=False
    )
    for weight in (stem.reshape(64, 8), square_layer.reshape(8, 8)):
        expected = square * torch.eye(8, dtype=torch.float64)
        torch.testing.assert_close(weight.T @ weight, expected)


def test_identity_and_zero_gamma_pass_on_what_comes_in(scripted):
    _, _, square_layer, *_ = _start(scripted, start="identity", normalised=False)
    assert torch.equal(square_layer.reshape(8, 8), torch.eye(8, dtype=torch.float64))
    values = _start(scripted, shortcut=True, zeroGamma=True)
    gammas = [float(value[0]) for value in values[1:-2:3]]
    assert gammas == [1, 1, 0, 1, 0, 1, 0]


def test_both_nets_of_a_seed_start_from_the_same_weights(scripted):
    plain, residual = (_start(scripted, shortcut=shortcut) for shortcut in (False, True))
    assert all(torch.equal(one, other) for one, other in zip(plain, residual, strict=True))
    assert not torch.equal(plain[0], _start(scripted, seed=4)[0])


# The pieces, opened from files, without any network.


@pytest.fixture
def opens(opened, generated_site):
    """Open the page of a piece; whatever the console complains of fails the test."""
    contexts, complaints = [], []

    def open_piece(name, address="", **options):
        contexts.append(opened.new_context(offline=True, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.goto((generated_site / "book" / f"{PAGES[name]}.html").as_uri() + address)
        return page

    yield open_piece
    for context in contexts:
        context.close()
    assert complaints == []


def _percents(text):
    """Errors of the plain and of the residual net, in words such as "ended at 3.6 %"."""
    return [float(found) for found in re.findall(r"ended at ([\d.]+) %", text)]


def test_the_nets_of_fig_2_train_in_the_page_and_end_as_in_its_still(opens):
    page = opens("try")
    trained(page)
    says = page.locator("#try-says").inner_text()
    plain, residual = _percents(says)
    assert plain > 50 and residual < 10
    assert "You said: the residual net. So it is." in says
    still = BeautifulSoup(STILL.read_text(), "html.parser")
    assert _percents(still.get_text()) == pytest.approx([plain, residual], abs=10)
    assert page.locator("#try-errors .line").count() == 2
    assert page.locator("#try-gradients .line").count() == 4


def test_shortcuts_alone_diverge_and_the_page_says_so(opens):
    page = opens("try", "#c3-bare")
    trained(page)
    says = page.locator("#try-says").inner_text()
    assert "the residual net diverged" in says
    assert "You said: the residual net. It was the plain net." in says


def test_two_nets_are_chosen_trained_and_stopped_by_keyboard_alone(opens):
    page = opens("try")
    presets = page.locator("#try-presets button")
    presets.nth(1).press("Enter")
    assert presets.nth(1).get_attribute("aria-pressed") == "true"
    page.locator("#try summary").press("Enter")
    layers = page.locator("#try-settings [name=depth]")
    layers.press("Home")
    assert layers.input_value() == "2"
    assert page.locator("#try-presets [aria-pressed=true]").count() == 0
    while not page.evaluate("document.activeElement.value === 'neither'"):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.locator("#try-says", has_text="You said: neither.").wait_for()
    layers.press("End")
    page.locator("#try-guesses [value=plain]").press("Enter")
    page.locator("#try-stop").press("Enter")
    assert page.locator("#try-says").inner_text() == "Stopped."
    assert page.locator("#try-stop").is_disabled()


def test_zero_gamma_goes_with_batch_normalisation_alone(opens):
    page = opens("try", "#c3-zero-gamma")
    start = page.locator("#try-settings [name=start]")
    assert start.input_value() == "zero-gamma"
    page.locator("#try summary").click()
    page.locator("#try-settings [name=normalised]").select_option("no")
    assert start.input_value() == "he"
    assert start.locator("[value=zero-gamma]").is_disabled()


def test_the_page_has_the_digits_of_scikit_learn(opens):
    page = opens("try")
    found = page.evaluate(
        """() => {
          const { images, labels } = studyNets().unpack(TRY.digits);
          return [[...images], [...labels]];
        }"""
    )
    data = load_digits()
    images = (data.data - data.data.mean()) / data.data.std()
    np.testing.assert_allclose(np.reshape(found[0], images.shape), images)
    assert found[1] == data.target.tolist()


def test_fig_2_answers_its_menus_with_the_runs_of_the_records(opens):
    page = opens("objections")
    lines = page.locator("#objections .seed")
    usual = lines.count()
    assert usual == page.evaluate(
        """() => Object.values(OBJECTIONS.runs).filter(
          ({ where }) => where.images === "digits" && where.normalisation === "batch" &&
            where.rate === 1 && where.epochs === 1 && where.width === 1
        ).length"""
    )
    form = page.locator("#objections-settings")
    form.locator("[name=rate]").select_option("0.1")
    form.locator("[name=epochs]").select_option("3")
    names = page.locator("#objections a[aria-label^=digits]")
    labels = [link.get_attribute("aria-label") for link in names.all()]
    assert len(labels) == 12 and all("epochs-60-rate-0.005" in label for label in labels)
    assert page.locator("#objections-moved").inner_text() == ""
    form.locator("[name=width]").select_option("2")
    assert "Nothing was trained like that; now rate: the recipe's" in page.locator(
        "#objections-moved"
    ).inner_text().replace("’", "'")
    assert form.locator("[name=epochs]").input_value() == "1"
    assert lines.count() == 12


def test_fig_2_says_the_gap_of_the_records(opens):
    page = opens("objections")
    records = [read_record(path) for path in EXPERIMENTS["fig2"].records(recipe="tiny-imagenet-20")]
    ends = {
        depth: np.mean(
            [
                record["curve"]["training_error"][-1]
                for record in records
                if (record["config"]["family"], record["config"]["depth"]) == ("plain", depth)
            ]
        )
        for depth in (18, 34)
    }
    page.locator("#objections-settings [name=images]").select_option("tiny-imagenet-20")
    says = page.locator("#objections-says").inner_text()
    gap = re.search(r"plain-34 − plain-18: \+([\d.]+) points", says)
    assert float(gap[1]) == pytest.approx(ends[34] - ends[18], abs=0.11)


def test_every_choice_of_fig_2_shows_runs(opens):
    page = opens("objections")
    for menu in page.locator("#objections-settings select").all():
        for option in menu.locator("option").all():
            menu.select_option(option.get_attribute("value"))
            assert page.locator("#objections .seed").count() > 0
            assert "undefined" not in page.locator("#objections-says").inner_text()


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_a_line_of_fig_2_opens_its_run(opens, way):
    page = opens("objections")
    link = page.locator("#objections-plain a").first
    name = link.get_attribute("aria-label").split(":")[0]
    if way == "mouse":
        link.locator(".reach").dispatch_event("click")
    else:
        link.press("Enter")
    page.wait_for_url("**/runs.html#**")
    page.locator("#runs-chart .run").wait_for()
    assert page.locator("#runs-table tr.chosen").get_attribute("id") == name


def test_the_papers_curves_lie_on_the_same_axes_if_asked(opens):
    page = opens("objections")
    assert page.locator("#objections .paper").count() == 4
    page.locator("#objections-settings [name=paper]").press("Space")
    assert page.locator("#objections .paper").count() == 0


def test_the_film_shows_each_recorded_moment_by_keyboard(opens):
    page = opens("film")
    slider = page.locator("#film-moment")
    for moment in MOMENTS:
        factors = []
        for seed in range(3):
            norms = MEASUREMENTS[f"anatomy-plain-34-seed-{seed}"].tables()["norms"]
            gradient = norms[norms.iteration == moment].gradient
            factors.append(gradient.iloc[0] / gradient.iloc[-1])
        said = page.locator("#film-says").inner_text()
        factor = re.search(r"first layer is ([\d.,]+) times", said)[1]
        expected = np.exp(np.log(factors).mean())
        assert float(factor.replace(",", "")) == pytest.approx(expected, rel=0.05)
        assert (f"after {moment} step" in said.lower()) == (moment > 0)
        slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "after 460 steps, 20 epochs"


def test_the_film_runs_and_stops(opens):
    page = opens("film")
    play, slider = page.locator("#film-play"), page.locator("#film-moment")
    play.press("Enter")
    page.wait_for_function("document.querySelector('#film-moment').value === '2'")
    play.press("Enter")
    assert play.inner_text() == "Play"
    stopped = slider.input_value()
    page.wait_for_timeout(1200)
    assert slider.input_value() == stopped


def test_every_net_of_the_film_can_be_seen(opens):
    page = opens("film")
    menu = page.locator("#film-settings select")
    for option in menu.locator("option").all():
        menu.select_option(option.get_attribute("value"))
        assert page.locator("#film-plain .line").count() >= 4
        assert page.locator("#film-residual .line").count() >= 4


@pytest.mark.parametrize("piece", PAGES)
@pytest.mark.parametrize("seen", ["without scripts", "on paper"])
def test_a_still_stands_in_place_of_a_piece(opens, piece, seen):
    page = opens(piece, java_script_enabled=seen == "on paper")
    if seen == "on paper":
        assert not page.locator(".live-still").is_visible()
        page.emulate_media(media="print")
    still = page.locator(".live-still")
    assert still.is_visible() and not page.locator(".live").is_visible()
    for picture in still.locator("svg, img").all():
        box = picture.bounding_box()
        assert box["width"] > 200 and box["height"] > 150
    assert still.locator("svg, img").count() >= 1


@pytest.mark.parametrize("piece", PAGES)
def test_a_piece_asks_for_little(generated_site, piece):
    path = generated_site / "_static" / f"{piece}-data.js"
    assert path.stat().st_size < HEAVIEST
    assert json.loads(path.read_text().split(" = ", 1)[1].rstrip(";\n")).keys()


@pytest.mark.parametrize("piece", PAGES)
def test_a_phone_does_not_scroll_a_piece_sideways(opens, piece):
    page = opens(piece, viewport={"width": 390, "height": 844})
    panels = page.locator(".live-bar, .live-panels, .live-panels > *, .live .study-chart")
    wide = "parts => parts.every((part) => part.scrollWidth <= part.clientWidth)"
    assert panels.count() >= 4 and panels.evaluate_all(wide)
    assert page.locator(".live .study-chart").first.bounding_box()["width"] > 250


# What pieces are given.


def test_every_piece_has_a_page():
    assert PIECES.keys() == PAGES.keys()


@pytest.mark.parametrize("count", [1, 20, 25, 26, 60, 100])
def test_a_thinned_curve_keeps_its_end(count):
    values = thinned(list(range(count)))
    assert len(values) <= MOST_POINTS and values[-1] == count - 1
    assert values == sorted(values)


def test_runs_stand_in_fig_2_by_what_was_objected():
    recipe = get_recipe("digits")
    usual = {"images": "digits", "rate": 1, "epochs": 1, "width": 1, "normalisation": "batch"}
    assert asked(Run(recipe, "plain", 34, seed=0)) == usual
    tripled = Run(get_recipe("digits", rate=0.15), "residual", 18, seed=0)
    assert asked(tripled) == usual | {"rate": 3}
    own = Run(get_recipe("tiny-imagenet-50", rate=0.15), "residual", 18, seed=0)
    assert asked(own) == usual | {"images": "tiny-imagenet-50"}
    assert asked(Run(recipe, "plain", 56, seed=0)) is None
    assert asked(Run(get_recipe("digits", fraction=0.5), "plain", 34, seed=0)) is None
