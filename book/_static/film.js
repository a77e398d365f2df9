/* The gradient film: gradients by layer as they were measured, from before the first step to the end.
   FILM (film-data.js) holds them, in powers of ten of that at the last block. */
"use strict";

(() => {
  const byId = (id) => document.getElementById(`film-${id}`);
  const FAMILIES = ["plain", "residual"];
  const NAMES = { plain: "plain", residual: "ResNet" };
  const FRAME = 900; // milliseconds
  const form = byId("settings");
  const slider = byId("moment");
  const moments = FILM.moments;
  let playing = null;

  const net = () => FILM.nets[form.elements.nets.value];
  const lines = (family, moment) =>
    net().lines.filter((line) => line.family === family && line.moment === moment);
  const points = ({ layers, decades }) =>
    layers.map((layer, i) => [layer, decades[i]]).filter(([, value]) => value !== null);
  const middle = (found) => {
    const [first] = found;
    if (!first) return [];
    const means = first.decades.map((_, i) =>
      found.some(({ decades }) => decades[i] === null)
        ? null
        : found.reduce((sum, { decades }) => sum + decades[i], 0) / found.length
    );
    return points({ layers: first.layers, decades: means });
  };

  const when = (moment) => {
    if (moment === 0) return "before the first step";
    const epochs = moment / FILM.epoch;
    const steps = `after ${moment} ${moment === 1 ? "step" : "steps"}`;
    if (!Number.isInteger(epochs)) return steps;
    return `${steps}, ${epochs === 1 ? "one epoch" : `${epochs} epochs`}`;
  };
  const says = (family, moment) => {
    const [first] = middle(lines(family, moment));
    if (!first) return `of ${NAMES[family]}-${net().depth} nothing is recorded`;
    return `${Charts.factor(10 ** first[1])} times that at the last block in ${NAMES[family]}-${net().depth}`;
  };
  const capital = (text) => text[0].toUpperCase() + text.slice(1);

  const draw = () => {
    const moment = moments[slider.value];
    const { depth } = net();
    const values = net().lines.flatMap(({ decades }) => decades.filter((value) => value !== null));
    byId("when").value = when(moment);
    slider.setAttribute("aria-valuetext", when(moment));
    for (const family of FAMILIES) {
      byId(`${family}-title`).textContent = capital(`${NAMES[family]}-${depth}`);
      const found = lines(family, moment);
      Charts.draw(byId(family), {
        title: `Gradient by layer of ${NAMES[family]}-${depth} ${when(moment)}.`,
        x: { title: "layer", low: 1, high: depth, whole: true },
        y: {
          title: "gradient, of the last block's", whole: true, show: Charts.powerOfTen,
          low: Math.floor(Math.min(-2, ...values)), high: Math.ceil(Math.max(2, ...values)),
        },
        band: [-1, 1],
        lines: [
          { points: middle(lines(family, 0)), class: `${family} before` },
          ...found.map((line) => ({ points: points(line), class: `${family} seed` })),
          { points: middle(found), class: family },
        ],
      });
    }
    byId("says").textContent =
      `${capital(when(moment))}, the gradient at the first layer is ${FAMILIES.map((family) => says(family, moment)).join("; ")}.`;
  };

  const stop = () => {
    clearInterval(playing);
    playing = null;
    byId("play").textContent = "Play";
  };
  const next = () => {
    slider.value = Number(slider.value) + 1;
    draw();
    if (slider.value === slider.max) stop();
  };
  byId("play").addEventListener("click", () => {
    if (playing) return stop();
    if (slider.value === slider.max) slider.value = 0;
    draw();
    playing = setInterval(next, FRAME);
    byId("play").textContent = "Stop";
  });
  slider.addEventListener("input", () => {
    stop();
    draw();
  });
  form.addEventListener("change", draw);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("film").hidden = false;
  Charts.drawWhenResized(byId("plain"), draw);
  draw();
})();
