"use strict";
// The whole page is built from the JSON in #content. Every text goes in as text, never as markup.
const content = JSON.parse(document.getElementById("content").textContent);
const COLORS = ["#2f81f7", "#f0883e", "#2ea043", "#bf5af2", "#e5534b", "#17a2b8", "#b08800", "#8b949e"];
const PAGE = 24;
const OUTCOMES = {hit: "hit", missed: "missed", false: "false detection", ignored: "ignored", truth: "ground truth found"};
const COLOR_NAMES = {hit: "green", missed: "amber, dashed", false: "red", ignored: "blue", truth: "white, thin"};
const HEIGHTS = [["any", 0, Infinity], ["under 16 pixels", 0, 16], ["16 to 48 pixels", 16, 48], ["over 48 pixels", 48, Infinity]];
const byId = id => document.getElementById(id);

function node(name, attributes = {}, ...children) {
  const svg = ["svg", "polygon", "polyline", "line", "circle", "text", "title", "g"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function ofRun(element, run) {
  element.style.setProperty("--run", COLORS[run % COLORS.length]);
  return element;
}

const percent = value => value === null ? "undefined" : (100 * value).toFixed(1);
const short = value => value === null ? "none" : String(Number(value.toPrecision(4)));

// ---- runs, scores, settings

function showRuns() {
  byId("made").textContent = content.made;
  content.runs.forEach((run, index) => {
    const facts = run.facts.flatMap(([name, value]) => [node("dt", {}, name), node("dd", {}, value)]);
    byId("runs").append(ofRun(node("article", {class: "card"}, node("h3", {}, run.label), node("dl", {}, ...facts)), index));
  });
}

function row(cells, head = false) {
  return node("tr", {}, ...cells.map(cell => node(head ? "th" : "td", {}, cell)));
}

const named = index => node("span", {}, ofRun(node("i", {class: "chip"}), index), content.runs[index].label);

function showScores() {
  const scored = content.runs.map((run, index) => [run, index]).filter(([run]) => run.sweep);
  if (!scored.length) return;
  byId("scores").hidden = false;
  byId("rule").textContent = content.rule;
  const table = byId("score-table");
  table.append(row(["run", "score at", "threshold", "precision", "recall", "hmean"], true));
  for (const [run, index] of scored)
    for (const [label, at] of [["threshold in settings", run.fixed], ["best on these images", run.best]]) {
      const [threshold, ...rates] = run.sweep[at];
      table.append(row([named(index), label, short(threshold), ...rates.map(percent)]));
    }
  const series = (x, y) => scored.map(([run, index]) => ({run: index, x: run.sweep.map(one => one[x]), y: run.sweep.map(one => one[y])}));
  const names = ["score threshold", "precision", "recall", "hmean"];
  for (const [x, y] of [[0, 1], [0, 2], [0, 3], [2, 1]])
    byId("sweeps").append(chart(`${names[y]} over ${names[x]}`, series(x, y), [0, 1], [0, 1]));
}

function showCurves() {
  for (const panel of content.curves) {
    const place = panel.group === "other" ? byId("more-curves").querySelector("div") : byId("curves");
    place.append(chart(panel.name, panel.series));
  }
  byId("more-curves").hidden = !content.curves.some(panel => panel.group === "other");
}

function showSettings() {
  const {different, same} = content.settings;
  const shown = value => node("code", {}, value === null ? "not there" : value);
  if (content.runs.length > 1 && different.length) {
    const table = node("table", {id: "different"}, row(["setting", ...content.runs.map((_, index) => named(index))], true));
    for (const [key, values] of different) table.append(row([key, ...values.map(shown)]));
    byId("settings").append(node("div", {class: "scroll"}, table));
  } else if (content.runs.length > 1) byId("settings").append(node("p", {}, "All settings are the same."));
  byId("shared-title").textContent = content.runs.length > 1 ? `${same.length} settings that all runs share` : `All ${same.length} settings`;
  for (const [key, value] of same) byId("shared").append(row([key, shown(value)]));
}

// ---- charts

function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(one => one * power >= 0.7 * rough);
  const made = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) made.push(tick);
  return made;
}

function range(values, given) {
  if (given) return given;
  const finite = values.filter(value => value !== null);
  if (!finite.length) return [0, 1];
  const low = Math.min(...finite), high = Math.max(...finite);
  const margin = (high - low) * 0.04 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 && low < 0.5 * high ? 0 : low - margin, high + margin];
}

function tickText(value) {
  const size = Math.abs(value);
  return size >= 1e6 ? `${short(value / 1e6)}M` : size >= 1e4 ? `${short(value / 1e3)}k` : short(value);
}

function chart(title, series, xGiven, yGiven) {
  const [width, height, left, bottom, top] = [360, 210, 44, 22, 8];
  const allX = series.flatMap(one => one.x), [y0, y1] = range(series.flatMap(one => one.y), yGiven);
  let [x0, x1] = xGiven || [Math.min(...allX), Math.max(...allX)];
  if (x0 === x1) [x0, x1] = [x0 - 1, x1 + 1];
  const X = x => left + (x - x0) / (x1 - x0) * (width - left - 8);
  const Y = y => height - bottom - (y - y0) / (y1 - y0) * (height - bottom - top);
  const svg = node("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title});
  for (const tick of ticks(y0, y1, 4)) svg.append(
    node("line", {class: "grid", x1: left, x2: width - 8, y1: Y(tick), y2: Y(tick)}),
    node("text", {x: left - 6, y: Y(tick) + 4, "text-anchor": "end"}, tickText(tick)));
  for (const tick of ticks(x0, x1, 4)) svg.append(
    node("text", {x: X(tick), y: height - 6, "text-anchor": "middle"}, tickText(tick)));
  for (const one of series) svg.append(...drawn(one, X, Y));
  const value = node("span"), figure = node("figure", {class: "panel"}, node("figcaption", {}, title, value), svg);
  followPointer(svg, value, series, X, width, [top, height - bottom]);
  return figure;
}

function drawn(one, X, Y) {
  const made = [];
  let line = [];
  const end = () => { if (line.length) made.push(ofRun(node("polyline", {class: "curve", points: line.join(" ")}), one.run)); line = []; };
  one.y.forEach((y, index) => { if (y === null) end(); else line.push(`${X(one.x[index]).toFixed(1)},${Y(y).toFixed(1)}`); });
  end();
  if (one.x.length <= 30) one.y.forEach((y, index) => {
    if (y !== null) made.push(ofRun(node("circle", {class: "dot", r: 2.6, cx: X(one.x[index]), cy: Y(y)}), one.run));
  });
  return made;
}

function followPointer(svg, value, series, X, width, [top, bottom]) {
  const cursor = node("line", {class: "cursor", y1: top, y2: bottom, visibility: "hidden"});
  svg.append(cursor);
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect(), pointer = (event.clientX - box.left) / box.width * width;
    let near = null;
    for (const one of series) one.x.forEach(x => { if (near === null || Math.abs(X(x) - pointer) < Math.abs(X(near) - pointer)) near = x; });
    cursor.setAttribute("x1", X(near)); cursor.setAttribute("x2", X(near)); cursor.setAttribute("visibility", "visible");
    value.textContent = `${tickText(near)}: ` + series.map(one => one.x.includes(near) ? short(one.y[one.x.indexOf(near)]) : "–").join(" / ");
  });
  svg.addEventListener("pointerleave", () => { cursor.setAttribute("visibility", "hidden"); value.textContent = ""; });
}

// ---- gallery

const several = content.runs.filter(run => run.sweep).length > 1;
let wanted = PAGE;

const stateOf = (image, run, at) => image.runs[run] && image.runs[run].states[image.runs[run].at[at]];
const evaluatedRuns = image => image.runs.map((run, index) => index).filter(index => image.runs[index]);
const errorsOf = (image, run, at) => (stateOf(image, run, at) || {errors: 0}).errors;

function orders() {
  const scored = content.runs.map((run, index) => index).filter(index => content.runs[index].sweep), made = [];
  const of = index => several ? ` of ${content.runs[index].label}` : "";
  for (const index of scored) {
    made.push([`most errors${of(index)} first`, (image, at) => -errorsOf(image, index, at)]);
    made.push([`fewest errors${of(index)} first`, (image, at) => errorsOf(image, index, at)]);
  }
  for (const a of scored) for (const b of scored) if (a !== b)
    made.push([`${content.runs[a].label} better than ${content.runs[b].label}`, (image, at) => errorsOf(image, a, at) - errorsOf(image, b, at)]);
  made.push(["as in the records", () => 0]);
  return made;
}

const FILTERS = [
  ["all images", null], ["with misses", ["missed"]], ["with false detections", ["false"]],
  ["with misses or false detections", ["missed", "false"]], ["without errors", []],
];

function heightsOf(image, run, state, outcome) {
  const source = outcome === "missed" ? image.truths : image.runs[run].detections;
  return state[outcome].map(index => source[index].height);
}

function isShown(image, at, dataset, outcomes, [, least, most]) {
  if (dataset !== "all" && image.dataset !== dataset) return false;
  const inside = height => height !== null && height >= least && height < most;
  const errors = (run, names) => names.flatMap(name => heightsOf(image, run, stateOf(image, run, at), name));
  if (outcomes === null || !outcomes.length) {
    const none = evaluatedRuns(image).every(run => !errors(run, ["missed", "false"]).length);
    return (outcomes === null || none) && (most === Infinity && least === 0 || image.truths.some(one => inside(one.height)));
  }
  return evaluatedRuns(image).some(run => errors(run, outcomes).some(height => (most === Infinity && least === 0) || inside(height)));
}

function polygon(kind, one, title) {
  return node("polygon", {class: kind, points: one.points}, node("title", {}, title));
}

const quoted = text => text === null || text === undefined ? "" : ` “${text}”`;

function view(image, run, at) {
  const state = stateOf(image, run, at), result = image.runs[run];
  const svg = node("svg", {viewBox: `0 0 ${image.width} ${image.height}`, preserveAspectRatio: "none"});
  const missed = new Set(state.missed), ignored = new Set(state.ignored);
  image.truths.forEach((truth, index) => {
    if (truth.points === null) return;
    const kind = missed.has(index) ? "missed" : ignored.has(index) ? "ignored" : "truth";
    svg.append(polygon(kind, truth, `${OUTCOMES[kind]}${quoted(truth.text)}, ${truth.height} pixels high`));
  });
  for (const kind of ["excluded", "false", "hit"]) for (const index of state[kind]) {
    const one = result.detections[index];
    svg.append(polygon(kind, one, `${OUTCOMES[kind] || kind}${quoted(one.text)}, score ${one.score}`));
  }
  const place = node("div", {class: "view"}, svg);
  place.style.setProperty("aspect-ratio", `${image.width} / ${image.height}`);
  if (image.picture) place.prepend(node("img", {alt: image.name, src: image.picture}));
  const count = node("div", {class: "count"});
  if (several) count.append(node("b", {}, ofRun(node("i", {class: "chip"}), run), content.runs[run].label));
  count.append(`${state.hit.length} hit, ${state.missed.length} missed, ${state.false.length} false`);
  return node("div", {}, place, count);
}

function card(image, at) {
  const without = image.picture ? "" : " (picture not on the page)";
  const caption = node("figcaption", {}, `${image.name}${without}`, node("span", {class: "quiet"}, ` ${image.dataset}`));
  caption.title = image.path;
  const views = node("div", {class: "views"}, ...evaluatedRuns(image).map(run => view(image, run, at)));
  const made = node("figure", {class: "image", "data-name": image.name}, caption, views);
  views.addEventListener("click", () => made.classList.toggle("enlarged"));
  return made;
}

function showGallery() {
  const at = Number(byId("threshold").value), order = orders()[byId("order").selectedIndex][1];
  const outcomes = FILTERS[byId("outcome").selectedIndex][1], height = HEIGHTS[byId("height").selectedIndex];
  const images = content.images.filter(image => evaluatedRuns(image).length && isShown(image, at, byId("dataset").value, outcomes, height));
  images.sort((a, b) => order(a, at) - order(b, at));
  byId("threshold-value").textContent = short(content.thresholds[at]);
  byId("shown").textContent = `${images.length} of ${content.images.length} images. ${content.gallery}`;
  byId("gallery").replaceChildren(...images.slice(0, wanted).map(image => card(image, at)));
  byId("more").hidden = images.length <= wanted;
}

function option(select, names) {
  for (const name of names) select.append(node("option", {value: name}, name));
}

function startGallery() {
  if (!content.images.length) return;
  byId("gallery-section").hidden = false;
  byId("gallery").classList.toggle("several", several);
  option(byId("order"), orders().map(([name]) => name));
  option(byId("outcome"), FILTERS.map(([name]) => name));
  option(byId("height"), HEIGHTS.map(([name]) => name));
  option(byId("dataset"), ["all", ...new Set(content.images.map(image => image.dataset))]);
  byId("threshold").max = content.thresholds.length - 1;
  byId("threshold").value = content.runs.find(run => run.sweep).fixed;
  for (const [kind, meaning] of Object.entries(OUTCOMES)) {
    const box = node("input", {type: "checkbox", checked: "", id: `show-${kind}`});
    box.addEventListener("change", () => byId("gallery").classList.toggle(`no-${kind}`, !box.checked));
    const line = node("svg", {viewBox: "0 0 30 14"}, node("line", {class: kind, x1: 3, x2: 27, y1: 7, y2: 7}));
    byId("legend").append(node("label", {}, box, line, `${meaning} (${COLOR_NAMES[kind]})`));
  }
  const again = () => { wanted = PAGE; showGallery(); };
  for (const id of ["order", "dataset", "outcome", "height", "threshold"]) byId(id).addEventListener("input", again);
  byId("controls").addEventListener("submit", event => event.preventDefault());
  byId("more").addEventListener("click", () => { wanted += PAGE; showGallery(); });
  showGallery();
}

showRuns();
showScores();
showCurves();
showSettings();
startGallery();
