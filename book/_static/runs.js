/* The page of all runs: its table sorted and filtered, and curves of the chosen rows.
   CURVES (curves.js) holds them by the name of the run, which is the id of its row. The address
   after "#" names the runs that are shown, so that a choice can be linked to. */
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const table = byId("runs-table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headers = [...table.tHead.rows[0].cells];
  const titles = headers.map((cell) => cell.textContent);
  const text = (row, column) => row.cells[column].textContent;
  const chosen = new Set(); // names, in the order in which they were chosen
  rows.forEach((row) => headers.forEach((cell, column) => (row.cells[column].className = cell.className)));

  /* Sorting: a button in each header; numbers by value, what is none last. */
  const value = (row, column) => {
    const found = parseFloat(text(row, column));
    return Number.isNaN(found) ? Infinity : found;
  };
  const compare = (column) =>
    headers[column].className === "number"
      ? (a, b) => (value(a, column) === value(b, column) ? 0 : value(a, column) - value(b, column))
      : (a, b) => text(a, column).localeCompare(text(b, column));

  const sort = (column) => {
    const down = headers[column].getAttribute("aria-sort") === "ascending";
    headers.forEach((cell) => cell.hasAttribute("aria-sort") && cell.setAttribute("aria-sort", "none"));
    headers[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = compare(column);
    body.append(...rows.sort((a, b) => (down ? order(b, a) : order(a, b))));
  };
  headers.forEach((cell, column) => {
    if (!cell.hasAttribute("aria-sort")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...cell.childNodes);
    button.addEventListener("click", () => sort(column));
    cell.append(button);
  });

  /* Filtering: every menu must agree, and every word must begin one of the row's, its measured numbers
     left out: "34" means a depth, and no part of an error. */
  const box = byId("runs-filter");
  const menus = [...document.querySelectorAll("#runs-controls select[data-column]")];
  const words = (content) => ` ${content.toLowerCase().replace(/[-_/,]/g, " ")}`;
  const contents = new Map(
    rows.map((row) => [row, [...row.cells].filter((cell) => !cell.className).map((cell) => words(cell.textContent)).join("")])
  );
  const filter = () => {
    const wanted = box.value.split(/\s+/).map(words);
    for (const row of rows) {
      row.hidden = !(
        wanted.every((word) => contents.get(row).includes(word)) &&
        menus.every((menu) => !menu.value || menu.value === text(row, titles.indexOf(menu.dataset.column)))
      );
    }
    const shown = rows.filter((row) => !row.hidden).length;
    byId("runs-count").value = `${shown} of ${rows.length} runs`;
    byId("runs-overlay").disabled = shown === 0;
  };
  box.addEventListener("input", filter);
  menus.forEach((menu) => menu.addEventListener("change", filter));

  /* The chart: one line a run. Colour tells apart what was trained, dashes tell its seeds apart. */
  const COLOURS = 6;
  const DASHES = ["", "7 3", "2 3", "9 3 2 3", "14 4"];
  const MARGIN = { top: 8, right: 12, bottom: 40, left: 52 };
  const HEIGHT = 340;
  const { svg } = Charts;

  const styles = () => {
    const arms = new Map(); // a run without its seed: how many of its runs came before
    return new Map(
      [...chosen].map((name) => {
        const arm = name.replace(/-seed-\d+$/, "");
        if (!arms.has(arm)) arms.set(arm, { colour: arms.size % COLOURS, count: 0 });
        const { colour, count } = arms.get(arm);
        arms.get(arm).count += 1;
        return [name, { class: `run run-${colour}`, "stroke-dasharray": DASHES[count % DASHES.length] }];
      })
    );
  };

  /* Round values from low to high: about five, or in a logarithmic scale powers of ten, between which
     are 2 and 5 if they are few. */
  const ticks = (low, high, logarithmic) => {
    if (!logarithmic) return Charts.ticks(low, high, 5);
    const found = [];
    const decades = Math.log10(high / low);
    const digits = decades > 3 ? [1] : [1, 2, 5];
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e += Math.ceil(decades / 8)) {
      found.push(...digits.map((digit) => digit * 10 ** e));
    }
    return found.filter((tick) => tick >= low && tick <= high);
  };
  const number = (tick) => (tick < 1e5 ? String(Number(tick.toPrecision(4))) : tick.toExponential().replace("+", ""));

  const draw = () => {
    const metric = byId("runs-metric");
    const logarithmic = byId("runs-scale").value === "log";
    const name = metric.selectedOptions[0].textContent;
    const points = (run) =>
      CURVES[run][metric.value]
        .map((y, i) => [(i + 1) * CURVES[run].epoch, y])
        .filter(([, y]) => !logarithmic || y > 0);
    const all = [...chosen].flatMap(points);
    const xs = all.map(([x]) => x);
    const ys = all.map(([, y]) => y);
    const xEnd = Math.max(...xs, 1);
    const yEnd = Math.max(...ys, Number.MIN_VALUE) * 1.03;
    const yStart = logarithmic ? Math.min(...ys, yEnd / 2) : 0;
    const scale = logarithmic ? Math.log : (y) => y;

    const width = byId("runs-chart").clientWidth;
    const right = width - MARGIN.right;
    const bottom = HEIGHT - MARGIN.bottom;
    const toX = (x) => MARGIN.left + (x / xEnd) * (right - MARGIN.left);
    const toY = (y) =>
      bottom - ((scale(y) - scale(yStart)) / (scale(yEnd) - scale(yStart))) * (bottom - MARGIN.top);

    const ends = [...chosen].map((run) => `${run}: ${ending(run, metric.value)}`);
    const picture = svg("svg", {
      width, height: HEIGHT, role: "img",
      "aria-label": `${name} against iteration. At the end: ${ends.join("; ") || "no run is chosen"}.`,
    });
    const label = (x, y, content, more = {}) => picture.append(svg("text", { x, y, ...more }, content));
    if (all.length) {
      for (const tick of ticks(yStart, yEnd, logarithmic)) {
        picture.append(svg("line", { x1: MARGIN.left, x2: right, y1: toY(tick), y2: toY(tick) }));
        label(MARGIN.left - 6, toY(tick) + 4, number(tick), { "text-anchor": "end" });
      }
      for (const tick of ticks(0, xEnd, false)) {
        label(toX(tick), bottom + 16, number(tick), { "text-anchor": "middle" });
      }
    } else {
      const reason = chosen.size ? "There is no point to draw" : "Choose rows of the table below";
      label((MARGIN.left + right) / 2, HEIGHT / 2, reason, { "text-anchor": "middle" });
    }
    label((MARGIN.left + right) / 2, HEIGHT - 6, "iteration", { "text-anchor": "middle" });
    label(-bottom / 2, 13, name, { "text-anchor": "middle", transform: "rotate(-90)" });

    const legend = byId("runs-legend");
    legend.replaceChildren();
    for (const [run, style] of styles()) {
      const line = points(run).map(([x, y]) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`);
      const path = svg("polyline", { points: line.join(" "), ...style }, svg("title", {}, run));
      picture.append(path);
      legend.append(entry(run, style, ending(run, metric.value), path));
    }
    byId("runs-chart").replaceChildren(picture);
    legend.hidden = chosen.size === 0;
  };

  const ending = (run, metric) => {
    const { diverged_at: end, [metric]: values } = CURVES[run];
    return end === null ? values.at(-1).toFixed(metric.endsWith("error") ? 2 : 4) : `diverged by ${end}`;
  };

  const entry = (run, style, end, path) => {
    const item = document.createElement("li");
    const swatch = svg("svg", { width: 36, height: 10, "aria-hidden": "true" });
    swatch.append(svg("line", { x1: 1, x2: 35, y1: 5, y2: 5, ...style }));
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "×";
    remove.setAttribute("aria-label", `Remove ${run}`);
    remove.addEventListener("click", () => {
      choose([...chosen].filter((name) => name !== run));
      byId("runs-clear").focus(); // the focus was on what is gone
    });
    item.append(swatch, ` ${run}: ${end} `, remove);
    item.addEventListener("pointerenter", () => path.classList.add("emphasised"));
    item.addEventListener("pointerleave", () => path.classList.remove("emphasised"));
    return item;
  };

  /* Choosing: the table, the chart and the address say the same. */
  const show = (names) => {
    chosen.clear();
    names.forEach((name) => chosen.add(name));
    for (const row of rows) {
      row.querySelector("input").checked = chosen.has(row.id);
      row.classList.toggle("chosen", chosen.has(row.id));
    }
    draw();
  };
  const choose = (names) => {
    show(names);
    history.replaceState(null, "", `#${[...chosen].join(",")}`);
  };
  const showAddressed = () => {
    const asked = decodeURIComponent(location.hash.slice(1)).split(",");
    const names = asked.filter((name) => Object.hasOwn(CURVES, name));
    if (names.length === 0) return;
    box.value = "";
    menus.forEach((menu) => (menu.value = ""));
    filter();
    show(names);
    byId(names[0]).scrollIntoView({ behavior: "instant" });
    byId("runs-controls").scrollIntoView({ behavior: "instant" });
  };

  body.addEventListener("change", ({ target }) => {
    const run = target.closest("tr").id;
    choose(target.checked ? [...chosen, run] : [...chosen].filter((name) => name !== run));
  });
  byId("runs-overlay").addEventListener("click", () =>
    choose([...chosen, ...rows.filter((row) => !row.hidden).map((row) => row.id)])
  );
  byId("runs-clear").addEventListener("click", () => choose([]));
  byId("runs-metric").addEventListener("change", draw);
  byId("runs-scale").addEventListener("change", draw);
  window.addEventListener("hashchange", showAddressed);
  new ResizeObserver(draw).observe(byId("runs-chart"));

  byId("runs-controls").hidden = false;
  filter();
  draw();
  window.addEventListener("load", showAddressed); // the browser itself goes to the row before
})();
