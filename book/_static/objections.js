/* Fig. 2 that answers objections: the recorded runs at a rate, length, width and normalisation.
   OBJECTIONS (objections-data.js) holds their curves; a line leads to its run on the page of all runs. */
"use strict";

(() => {
  const byId = (id) => document.getElementById(`objections-${id}`);
  const FAMILIES = ["plain", "residual"];
  const NAMES = { plain: "plain", residual: "ResNet" };
  const DEPTHS = [18, 34];
  const { choices, runs, paper, withoutBranch } = OBJECTIONS;
  const form = byId("settings");
  const knobs = Object.keys(choices);
  const chosen = Object.fromEntries(knobs.map((knob) => [knob, form.elements[knob].value]));

  /* Whether a run is of these settings. A plain net has no branch that could start in a special way. */
  const isAt = ({ family, where }, settings) =>
    knobs.every((knob) => {
      const wanted = settings[knob];
      const own = family === "plain" && knob === "normalisation" ? withoutBranch[wanted] ?? wanted : wanted;
      return String(where[knob]) === own;
    });
  const at = (settings) => Object.entries(runs).filter(([, run]) => isAt(run, settings));

  /* All settings at which some net was trained. */
  const trained = [...new Set(Object.values(runs).map(({ where }) => JSON.stringify(where)))].map((where) =>
    Object.fromEntries(Object.entries(JSON.parse(where)).map(([knob, value]) => [knob, String(value)]))
  );

  /* The trained settings with ``knob`` as it is now that differ least from the chosen ones, and from the
     recipe's where that is undecided. */
  const nearest = (knob) => {
    const recipe = (settings) => knobs.filter((name) => settings[name] !== Object.keys(choices[name])[0]).length;
    const moved = (settings) => knobs.filter((name) => settings[name] !== chosen[name]).length;
    const cost = (settings) => moved(settings) + recipe(settings) / 10;
    return trained
      .filter((settings) => settings[knob] === chosen[knob])
      .sort((a, b) => cost(a) - cost(b))[0];
  };
  const choose = (knob) => {
    chosen[knob] = form.elements[knob].value;
    const found = nearest(knob);
    const moved = knobs.filter((name) => found[name] !== chosen[name]);
    Object.assign(chosen, found);
    knobs.forEach((name) => (form.elements[name].value = chosen[name]));
    const changed = moved.map((name) => `${name}: ${choices[name][chosen[name]]}`).join(", ");
    byId("moved").textContent = moved.length ? `Nothing was trained like that; now ${changed}.` : "";
  };

  /* What is seen, in words. */
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const ends = (family, depth, metric) =>
    at(chosen)
      .filter(([, run]) => run.family === family && run.depth === depth && !run.diverged)
      .map(([, run]) => run[metric].at(-1));
  const gap = ([name, more, less], metric) => {
    const [a, b] = [ends(...more, metric), ends(...less, metric)];
    if (!a.length || !b.length) return null;
    const points = mean(a) - mean(b);
    if (Math.min(mean(a), mean(b)) > guessing() - ALIKE) return `${name}: both guess; there is nothing to compare`;
    const seeds = a.length === b.length ? `${a.length} seeds each` : `${a.length} and ${b.length} seeds`;
    return `${name}: ${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)} points (${seeds})`;
  };
  /* Errors within a point of guessing are none of a net that has learnt. */
  const ALIKE = 1;
  const guessing = () => OBJECTIONS.guessing[chosen.images];
  const GAPS = [
    ["plain-34 − plain-18", ["plain", 34], ["plain", 18]],
    ["ResNet-34 − ResNet-18", ["residual", 34], ["residual", 18]],
    ["ResNet-34 − plain-34", ["residual", 34], ["plain", 34]],
  ];
  /* "rate 0.05", or that of each family where they differ. */
  const setting = (knob) => {
    const own = FAMILIES.map((family) => at(chosen).find(([, run]) => run.family === family)?.[1])
      .filter((run) => run).map(({ family, setting }) => [setting[knob], `${setting[knob]} (${NAMES[family]})`]);
    const same = new Set(own.map(([value]) => value)).size === 1;
    return `${knob} ${same ? own[0][0] : own.map(([, named]) => named).join(" and ")}`;
  };
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  const summary = (metric) => {
    const shown = at(chosen);
    const diverged = shown.filter(([, run]) => run.diverged).length;
    const gaps = GAPS.map((each) => gap(each, metric)).filter(Boolean);
    return [
      `${capital(["rate", "epochs", "width"].map(setting).join(", "))}. ` +
        `${capital(OBJECTIONS.metrics[metric])} at the end, means over seeds:`,
      ...(gaps.length ? gaps : ["no two nets to compare"]),
      ...(diverged ? [`${diverged} of ${shown.length} runs diverged.`] : []),
    ].join("\n");
  };

  const points = (at, errors) => errors.map((error, i) => [100 * at[i], error]);
  const draw = () => {
    const metric = form.elements.error.value;
    const shown = at(chosen);
    for (const family of FAMILIES) {
      const lines = DEPTHS.flatMap((depth) => {
        const seeds = shown
          .filter(([, run]) => run.family === family && run.depth === depth)
          .sort(([, a], [, b]) => a[metric].at(-1) - b[metric].at(-1));
        return seeds.map(([name, run], i) => ({
          points: points(run.at, run[metric]), class: `seed ${family} depth-${depth}`, link: `runs.html#${name}`,
          name: `${name}${run.diverged ? ", diverged" : `: ${run[metric].at(-1)} %`}`,
          label: i === seeds.length >> 1 ? `${depth} layers` : null,
        }));
      });
      const theirs = paper.filter((line) => line.family === family && line.metric === metric);
      if (form.elements.paper.checked) {
        for (const { depth, at, error } of theirs) {
          lines.push({ points: points(at, error), class: `paper ${family} depth-${depth}`, label: `paper, ${depth}` });
        }
      }
      Charts.draw(byId(family), {
        title: `${NAMES[family]} nets: ${OBJECTIONS.metrics[metric]} against the share of the training; ${lines.length} lines.`,
        x: { title: "share of the training, %", low: 0, high: 100 },
        y: { title: `${OBJECTIONS.metrics[metric]}, %`, low: 0, high: 100 },
        lines, room: 70,
      });
    }
    byId("overlay").href = `runs.html#${shown.map(([name]) => name).join(",")}`;
    byId("says").textContent = summary(metric);
  };

  form.addEventListener("change", ({ target }) => {
    if (knobs.includes(target.name)) choose(target.name);
    draw();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("objections").hidden = false;
  Charts.drawWhenResized(byId("plain"), draw);
  draw();
})();
