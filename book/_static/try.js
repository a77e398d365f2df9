/* "Train both, here": a plain and a residual net of the same settings, each in a worker of its own.
   TRY (try-data.js) are the images, and the recipe by which the nets are trained. */
"use strict";

(() => {
  const byId = (id) => document.getElementById(`try-${id}`);
  const FAMILIES = ["plain", "residual"];
  const ALIKE = 5; // points: a smaller difference is none to speak of
  const GUESSES = { plain: "the plain net", residual: "the residual net", neither: "neither" };
  const usual = { depth: 34, width: 16, normalised: "yes", activation: "relu", start: "he", rate: 0.05, seed: 1 };
  const PRESETS = {
    "c2": {
      name: "Batch normalisation", settings: usual,
      asks: "ReLU and batch normalisation, as in the nets of Fig. 2. Do gradients vanish or explode, and for how long?",
    },
    "c2-sigmoid": {
      name: "Sigmoids",
      settings: { ...usual, depth: 20, normalised: "no", activation: "sigmoid", start: "lecun" },
      asks: "The case that the post tells: sigmoids, and nothing that keeps signals in bounds. Will the shortcut save the net?",
    },
    "c3-bare": {
      name: "Shortcuts alone", settings: { ...usual, normalised: "no", rate: 0.005 },
      asks: "Shortcuts without batch normalisation. Is the identity by itself enough?",
    },
    "c3-zero-gamma": {
      name: "Branches that start at zero", settings: { ...usual, depth: 54, start: "zero-gamma" },
      asks: "Twenty layers more, and each residual block starts as its shortcut alone. How far does it get?",
    },
    "plain-trains": {
      name: "A plain net that trains",
      settings: { ...usual, normalised: "no", activation: "tanh", start: "orthogonal", rate: 0.005 },
      asks: "No shortcut and no normalisation, but orthogonal weights and small steps. Must a deep plain net fail?",
    },
  };
  const form = byId("settings");
  let workers = [];
  let seen = { plain: [], residual: [] }; // what the worker of each net posted
  let guess = null;

  /* Settings, as the reader chose them. */
  const settings = () => Object.fromEntries(new FormData(form));
  const config = (family) => {
    const { normalised, start, activation, ...numbers } = settings();
    return {
      ...Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, Number(value)])),
      activation,
      normalised: normalised === "yes",
      start: start === "zero-gamma" ? "he" : start,
      zeroGamma: start === "zero-gamma",
      shortcut: family === "residual",
    };
  };
  const choose = (key) => {
    const { asks, settings: chosen } = PRESETS[key];
    Object.entries(chosen).forEach(([name, value]) => (form.elements[name].value = value));
    forget();
    byId("asks").textContent = asks;
    mark(key);
  };
  const mark = (key, group = "presets") =>
    byId(group).querySelectorAll("button[value]").forEach((button) =>
      button.setAttribute("aria-pressed", button.value === key)
    );
  const forget = () => {
    stop();
    seen = { plain: [], residual: [] };
    byId("asks").textContent = "";
    byId("says").textContent = "";
    mark(null, "guesses");
    const zeroGamma = form.elements.start.querySelector("[value=zero-gamma]");
    zeroGamma.disabled = form.elements.normalised.value === "no"; // there is no γ then
    if (zeroGamma.disabled && zeroGamma.selected) form.elements.start.value = "he";
    draw();
  };

  /* Training. */
  const source = URL.createObjectURL(
    new Blob([String(studyNets), "\nstudyNets().serve(self);"], { type: "text/javascript" })
  );
  const stop = () => {
    workers.forEach((worker) => worker.terminate());
    workers = [];
    byId("stop").disabled = true;
  };
  const start = (guessed) => {
    stop();
    guess = guessed;
    mark(guess, "guesses");
    seen = { plain: [], residual: [] };
    byId("stop").disabled = false;
    byId("says").textContent = "Training.";
    workers = FAMILIES.map((family) => {
      const worker = new Worker(source);
      worker.onmessage = ({ data }) => {
        seen[family].push(data);
        draw();
        if (FAMILIES.every(isDone)) end();
      };
      worker.postMessage({ config: config(family), ...TRY });
      return worker;
    });
    draw();
    byId("errors").closest("figure").scrollIntoView({ block: "nearest" }); // on a phone it is below
  };
  const last = (family) => seen[family].at(-1);
  const isDone = (family) =>
    seen[family].length > 0 && (last(family).error === null || last(family).epoch === TRY.recipe.epochs);
  const end = () => {
    stop();
    byId("says").textContent = summary();
    byId("says").scrollIntoView({ block: "nearest" });
  };

  /* In words. */
  const ending = (family) =>
    `the ${family} net ${last(family).error === null ? "diverged" : `ended at ${last(family).error.toFixed(1)} %`}`;
  const winner = () => {
    const [plain, residual] = FAMILIES.map((family) => last(family).error ?? 100);
    if (Math.abs(plain - residual) < ALIKE) return "neither";
    return plain < residual ? "plain" : "residual";
  };
  const ratio = ({ norms }) => norms[0] / norms.at(-1); // the stem's over the last layer's
  const reads = (when) => {
    const found = ratio(when);
    const reading = found > 10 ? "explodes" : found < 0.1 ? "vanishes" : "is in bounds";
    return `${Charts.factor(found)} times that at the last (it ${reading})`;
  };
  const gradient = (family) => {
    const measured = seen[family].filter(({ norms }) => norms.length);
    return `Gradient of the ${family} net at its first layer: before the first step ${reads(measured[0])}, ` +
      `when last measured ${reads(measured.at(-1))}.`;
  };
  const summary = () => [
    `Training error: ${FAMILIES.map(ending).join(", ")}.`,
    `You said: ${GUESSES[guess]}. ${guess === winner() ? "So it is." : `It was ${GUESSES[winner()]}.`}`,
    ...FAMILIES.map(gradient),
  ].join("\n");

  /* Curves. */
  const errors = (family) => seen[family].filter(({ error }) => error != null).map(({ epoch, error }) => [epoch, error]);
  const decades = ({ norms }) =>
    norms
      .map((norm, i) => [2 * i + 1, Math.log10(norm / norms.at(-1))])
      .filter(([, value]) => Number.isFinite(value));
  const draw = () => {
    const { epochs } = TRY.recipe;
    const [plain, residual] = FAMILIES.map((family) => errors(family).at(-1)?.[1].toFixed(1) ?? "none yet");
    Charts.draw(byId("errors"), {
      title: `Training error in percent against the epoch. Plain: ${plain}; residual: ${residual}.`,
      x: { title: "epoch", low: 0, high: epochs, whole: true },
      y: { title: "training error, %", low: 0, high: 100 },
      lines: FAMILIES.map((family) => ({ points: errors(family), class: family, label: family })),
      room: 62,
    });
    const lines = FAMILIES.filter((family) => seen[family].length).flatMap((family) => {
      const now = seen[family].findLast(({ norms }) => norms.length);
      return [
        { points: decades(seen[family][0]), class: `${family} before` },
        { points: decades(now), class: family, label: family },
      ];
    });
    const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
    Charts.draw(byId("gradients"), {
      title: "Gradient by layer, in powers of ten of that at the last layer, before the first step and now.",
      x: { title: "layer", low: 1, high: config("plain").depth + 1, whole: true },
      y: {
        title: "gradient, of the last layer's", whole: true, show: Charts.powerOfTen,
        low: Math.floor(Math.min(-2, ...values)), high: Math.ceil(Math.max(2, ...values)),
      },
      lines, band: [-1, 1], room: 62, labelled: "left",
    });
  };

  for (const [key, { name }] of Object.entries(PRESETS)) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.value = key;
    button.addEventListener("click", () => choose(key));
    byId("presets").append(button);
  }
  form.addEventListener("change", () => {
    forget();
    mark(null);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  byId("guesses").addEventListener("click", ({ target }) => target.value && start(target.value));
  byId("stop").addEventListener("click", () => {
    stop();
    byId("says").textContent = "Stopped.";
  });
  const addressed = () => choose(Object.hasOwn(PRESETS, location.hash.slice(1)) ? location.hash.slice(1) : "c2");
  window.addEventListener("hashchange", addressed);
  document.getElementById("try").hidden = false;
  Charts.drawWhenResized(byId("errors"), draw);
  addressed();
})();
