/* Charts of lines as SVG, for the pieces that answer. What a line looks like is said by the style
   sheets, by its class. */
"use strict";

const Charts = (() => {
  const MARGIN = { top: 10, right: 12, bottom: 40, left: 54 };
  const HEIGHT = { wide: 300, narrow: 230 }; // on a phone two panels fit the screen
  const NARROW = matchMedia("(max-width: 600px)");
  const LETTERS = 15; // pixels between the middles of two labels
  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  const svg = (name, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, content]) => element.setAttribute(key, content));
    element.append(...children);
    return element;
  };

  /* Round values from low to high, about ``count``; ``whole`` ones if asked for. */
  const ticks = (low, high, count, whole = false) => {
    const rough = Math.max((high - low) / count, whole ? 1 : 0);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((digit) => digit * power >= rough);
    const first = Math.ceil(low / step);
    return [...Array(Math.floor(high / step) - first + 1).keys()].map((i) => (first + i) * step);
  };

  const powerOfTen = (exponent) => {
    if (exponent === 0 || exponent === 1) return String(10 ** exponent);
    const digits = [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPTS[digit]).join("");
    return `10${exponent < 0 ? "⁻" : ""}${digits}`;
  };

  /* A factor in two digits: 34, 0.56, 2.0 × 10³. */
  const factor = (value) => {
    if (value >= 0.01 && value < 100) return String(Number(value.toPrecision(2)));
    if (value >= 100 && value < 10000) return Number(value.toPrecision(2)).toLocaleString("en");
    const [digits, exponent] = value.toExponential(1).split("e");
    return `${digits} × ${powerOfTen(Number(exponent))}`;
  };

  /* Places for labels, in their order, at least ``LETTERS`` apart and above ``lowest``. */
  const apart = (labels, lowest) => {
    labels.sort((a, b) => a.y - b.y);
    labels.forEach((label, i) => {
      if (i) label.y = Math.max(label.y, labels[i - 1].y + LETTERS);
    });
    labels.reverse().forEach((label, i) => {
      label.y = Math.min(label.y, i ? labels[i - 1].y - LETTERS : lowest);
    });
    return labels;
  };

  /* Draws lines into ``container``, as wide as it is.
     ``title`` says to a screen reader what is seen; ``x`` and ``y`` have ``title``, ``low`` and
     ``high``, and may have ``show``, which writes a tick, and ``whole``. A line has ``points``, a
     ``class``, and perhaps a ``label`` at its end (at its start with ``labelled: "left"``), a
     ``name`` and a ``link``. ``band`` is a stretch of y to shade, ``room`` are pixels for labels. */
  const draw = (container, { title, x, y, lines, band, room = 0, labelled = "right" }) => {
    const width = container.clientWidth;
    if (width === 0) return; // not to be seen
    const height = NARROW.matches ? HEIGHT.narrow : HEIGHT.wide;
    const left = MARGIN.left + (labelled === "left" ? room : 0);
    const right = width - MARGIN.right - (labelled === "right" ? room : 0);
    const bottom = height - MARGIN.bottom;
    const toX = (value) => left + ((value - x.low) / (x.high - x.low)) * (right - left);
    const toY = (value) => bottom - ((value - y.low) / (y.high - y.low)) * (bottom - MARGIN.top);
    const picture = svg("svg", {
      class: "study-chart", viewBox: `0 0 ${width} ${height}`, width, height,
      role: lines.some(({ link }) => link) ? "group" : "img", "aria-label": title,
    });
    const write = (place, content) => picture.append(svg("text", place, content));
    if (band) {
      const [low, high] = band.map((value) => toY(Math.min(Math.max(value, y.low), y.high)));
      const box = { x: MARGIN.left, y: high, width: width - MARGIN.right - MARGIN.left, height: low - high };
      picture.append(svg("rect", { class: "band", ...box }));
    }
    for (const tick of ticks(y.low, y.high, 5, y.whole)) {
      const level = toY(tick);
      picture.append(svg("line", { class: "grid", x1: MARGIN.left, x2: right, y1: level, y2: level }));
      write({ x: MARGIN.left - 6, y: level + 4, "text-anchor": "end" }, (y.show ?? String)(tick));
    }
    for (const tick of ticks(x.low, x.high, 5, x.whole)) {
      write({ x: toX(tick), y: bottom + 17, "text-anchor": "middle" }, (x.show ?? String)(tick));
    }
    write({ x: (left + right) / 2, y: height - 6, "text-anchor": "middle" }, x.title);
    const middle = (MARGIN.top + bottom) / 2;
    write({ x: -middle, y: 13, "text-anchor": "middle", transform: "rotate(-90)" }, y.title);

    const labels = [];
    for (const line of lines.filter(({ points }) => points.length)) {
      const places = line.points.map(([a, b]) => `${toX(a).toFixed(1)},${toY(b).toFixed(1)}`).join(" ");
      const drawn = svg("polyline", { class: `line ${line.class}`, points: places });
      if (line.link) {
        const reach = svg("polyline", { class: "reach", points: places }); // easier to hit than the line
        const named = svg("title", {}, line.name);
        picture.append(svg("a", { href: line.link, "aria-label": line.name }, named, drawn, reach));
      } else {
        picture.append(drawn);
      }
      if (!line.label) continue;
      const [a, b] = line.points.at(labelled === "left" ? 0 : -1);
      const end = right - toX(a) < LETTERS * 2 ? right : toX(a); // labels at the edge are aligned
      labels.push({ x: labelled === "left" ? toX(a) - 6 : end + 6, y: toY(b) + 4, text: line.label });
    }
    for (const { text, x, y } of apart(labels, bottom)) {
      write({ x: x.toFixed(1), y: y.toFixed(1), class: "label", "text-anchor": labelled === "left" ? "end" : "start" }, text);
    }
    container.replaceChildren(picture);
  };

  /* Calls ``draw`` now and whenever the width of ``container`` changes. */
  const drawWhenResized = (container, draw) => {
    let width = 0;
    new ResizeObserver(() => {
      if (container.clientWidth === width) return;
      width = container.clientWidth;
      draw();
    }).observe(container);
  };

  return { draw, drawWhenResized, factor, powerOfTen, svg, ticks };
})();
