"use strict";
(() => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const find = (id) => document.getElementById(id);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const palette = () => content.palettes[dark.matches && !printing ? "dark" : "light"];
  const faint = () => (dark.matches && !printing ? "rgba(200,206,220,.28)" : "rgba(60,66,80,.22)");
  const faded = (hex, alpha) => `rgba(${[1, 3, 5].map((n) => parseInt(hex.slice(n, n + 2), 16)).join(",")},${alpha})`;

  // Charts: the page's theme colours them.
  const themed = (chart) => {
    const colors = palette();
    const words = dark.matches && !printing ? colors : content.palettes.words;
    const axis = { gridcolor: color("--line"), zerolinecolor: color("--quiet"), linecolor: color("--line"), automargin: true };
    const traces = chart.traces.map((trace) => {
      const role = (trace.meta || {}).role;
      const plain = { ink: color("--ink"), faint: faint() }[role];
      const own = plain || colors[(trace.meta || {}).network];
      if (!own) return trace;
      if (trace.error_y) trace = { ...trace, error_y: { ...trace.error_y, color: own } };
      const copy = { ...trace, line: { ...trace.line, color: own }, marker: { ...trace.marker, color: own } };
      if (trace.marker && trace.marker.line) copy.marker.line = { ...trace.marker.line, color: own };
      if (trace.fill) copy.fillcolor = faded(own, 0.22);
      if (role !== "band") copy.hoverlabel = { bgcolor: color("--paper"), bordercolor: own, font: { color: color("--ink") } };
      return copy;
    });
    const layout = {
      ...chart.layout,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: color("--ink"), size: printing ? 11 : 13, family: getComputedStyle(document.body).fontFamily },
      xaxis: { ...axis, showgrid: false, zeroline: false, tickfont: { size: printing ? 8 : 11 }, ...chart.layout.xaxis },
      ...Object.fromEntries(Object.keys(chart.layout).filter((key) => key.startsWith("yaxis")).map((key) => [key, { ...axis, ...chart.layout[key] }])),
      annotations: (chart.layout.annotations || []).map((one) => ({ ...one, font: { color: words[one.name] || color("--quiet") } })),
      shapes: (chart.layout.shapes || []).map((one) => ({ ...one, fillcolor: color(one.name === "block" ? "--block" : "--band") })),
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", ...chart.layout.legend }, hovermode: "closest", dragmode: false,
      ...(printing ? { width: 690, height: Math.min(chart.layout.height, "yaxis2" in chart.layout ? 600 : 280), autosize: false } : { autosize: true }),
    };
    return [traces, layout];
  };
  const places = [...document.querySelectorAll(".chart")];
  const options = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false };
  const seen = places.map(() => 0);
  const viewOf = (place) => content.charts[Number(place.dataset.chart)][seen[Number(place.dataset.chart)]];
  const drawChart = (place) => Plotly.react(place, ...themed(viewOf(place)), options);
  const drawCharts = () => places.forEach(drawChart);
  document.querySelectorAll("select[data-for]").forEach((pick) => pick.addEventListener("change", () => {
    const place = places.find((one) => one.dataset.chart === pick.dataset.for);
    seen[Number(pick.dataset.for)] = Number(pick.value);
    place.setAttribute("aria-label", viewOf(place).label);
    pick.closest("section").querySelector(".viewed span").textContent = pick.selectedOptions[0].textContent;
    drawChart(place);
  }));

  // Files of what is shown, on white paper whatever the page's theme.
  const save = (name, blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const onWhite = (make) => {
    const before = printing;
    printing = true;
    document.documentElement.classList.add("printing");
    try { return make(); } finally {
      printing = before;
      document.documentElement.classList.toggle("printing", before);
    }
  };
  const blobOf = (uri) => {
    const [head, body] = [uri.slice(0, uri.indexOf(",")), uri.slice(uri.indexOf(",") + 1)];
    const text = head.endsWith("base64") ? atob(body) : decodeURIComponent(body);
    const bytes = head.endsWith("base64") ? Uint8Array.from(text, (letter) => letter.charCodeAt(0)) : text;
    return new Blob([bytes], { type: head.slice(5).split(";")[0] });
  };
  async function saveChart(place, format) {
    const view = viewOf(place);
    if (format === "csv") return save(`${place.dataset.name}.csv`, new Blob([view.csv], { type: "text/csv" }));
    const [data, layout] = onWhite(() => themed(view));
    const size = { width: Math.max(place.clientWidth, 320), height: view.layout.height };
    const shapes = layout.shapes.filter((one) => one.name !== "slider");
    const figure = { data, layout: { ...layout, ...size, shapes, autosize: false, paper_bgcolor: "#ffffff" } };
    return save(`${place.dataset.name}.${format}`, blobOf(await Plotly.toImage(figure, { ...size, format, scale: format === "png" ? 3 : 1 })));
  }
  const savers = {};
  document.querySelectorAll(".downloads button").forEach((button) => button.addEventListener("click", () => {
    const section = button.closest("section");
    const place = section.querySelector(".chart");
    return place ? saveChart(place, button.dataset.format) : savers[section.id](button.dataset.format);
  }));
  const asPicture = (svg, width, height) => new Promise((done) => {
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [2 * width, 2 * height];
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      done(blobOf(canvas.toDataURL("image/png")));
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  });
  const escaped = (text) => String(text).replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
  const quoted = (text, numeric) => {
    const safe = !numeric && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const csvOf = (rows) => new Blob([`${rows.map((row) => row.map((one) => quoted(String(one), typeof one === "number")).join(",")).join("\n")}\n`], { type: "text/csv" });

  // The layer that the slider stands on: read out, marked in the curve, and shown in the explorer.
  let followLayer = () => {};
  const slider = find("slide-answer");
  if (slider) {
    const place = slider.closest(".small").querySelector(".chart");
    const lines = () => viewOf(place).traces.filter((trace) => trace.customdata);
    const main = () => lines().find((trace) => trace.meta.role === "line" && trace.meta.network === slider.dataset.network);
    const fill = (trace, n) => trace.hovertemplate.replace("<extra></extra>", "").replace(/%\{customdata\[(\d+)\](?::([+]?)\.(\d)f)?\}/g, (_, at, sign, digits) => {
      const value = trace.customdata[n][Number(at)];
      if (digits === undefined) return value;
      return value === null ? "unknown" : `${sign && value > 0 ? "+" : ""}${value.toFixed(Number(digits))}`.replace("-", "−");
    });
    const plain = (markup) => new DOMParser().parseFromString(markup, "text/html").body.textContent;
    slider.max = main().x.length - 1;
    const read = () => {
      const n = Number(slider.value);
      const x = main().x[n];
      const texts = lines().filter((trace) => trace.meta.network === main().meta.network)
        .map((trace, first) => fill(trace, n).split("<br>").slice(first ? 1 : 0).map(plain).join(", "));
      find("slid").textContent = texts.join("; ");
      slider.setAttribute("aria-valuetext", viewOf(place).layout.xaxis.ticktext[n]);
      const mark = { type: "line", xref: "x", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, name: "slider", line: { width: 1, dash: "dot", color: color("--quiet") } };
      const layout = viewOf(place).layout;
      layout.shapes = [...(layout.shapes || []).filter((one) => one.name !== "slider"), mark];
      drawChart(place);
    };
    slider.addEventListener("input", () => { read(); followLayer(main().meta.network, plain(viewOf(place).layout.xaxis.ticktext[Number(slider.value)])); });
    const best = main().y.reduce((top, value, n, all) => (value !== null && (all[top] === null || value > all[top]) ? n : top), 0);
    slider.value = best;
    savers.read = read;
  }

  // RDM explorer.
  function decode(packed, count) {
    const bytes = Uint8Array.from(atob(packed.values), (letter) => letter.charCodeAt(0));
    const steps = new Uint16Array(bytes.length / 2);
    for (let n = 0; n < steps.length; n += 1) steps[n] = bytes[2 * n] | (bytes[2 * n + 1] << 8);
    const values = new Float64Array(count * count).fill(NaN);
    let n = 0;
    for (let i = 0; i < count; i += 1) {
      for (let j = i + 1; j < count; j += 1, n += 1) {
        if (steps[n] === 65535) continue;
        const value = packed.low + (steps[n] / 65534) * (packed.high - packed.low);
        values[i * count + j] = values[j * count + i] = value;
      }
    }
    return values;
  }

  function ranked(values, kept, count) {
    const pairs = [];
    for (let a = 0; a < kept.length; a += 1) {
      for (let b = a + 1; b < kept.length; b += 1) {
        const value = values[kept[a] * count + kept[b]];
        if (!Number.isNaN(value)) pairs.push([value, kept[a], kept[b]]);
      }
    }
    pairs.sort((one, other) => one[0] - other[0]);
    const ranks = new Float64Array(count * count).fill(NaN);
    for (let start = 0; start < pairs.length;) {
      let stop = start;
      while (stop < pairs.length && pairs[stop][0] === pairs[start][0]) stop += 1;
      for (let n = start; n < stop; n += 1) {
        const [, i, j] = pairs[n];
        ranks[i * count + j] = ranks[j * count + i] = (start + stop + 1) / 2;
      }
      start = stop;
    }
    return { ranks, total: pairs.length, low: pairs.length ? pairs[0][0] : 0, high: pairs.length ? pairs[pairs.length - 1][0] : 1 };
  }

  function option(select, value, text) {
    const one = document.createElement("option");
    one.value = value;
    one.textContent = text;
    select.append(one);
  }

  function showFace(box, stimulus) {
    box.replaceChildren();
    if (!stimulus || !stimulus.image) return;
    const image = document.createElement("img");
    image.src = stimulus.image;
    image.alt = stimulus.id;
    box.append(image);
  }

  const signed = (value) => String(value).replace("-", "−");
  const described = (stimulus) => Object.entries(stimulus.factors)
    .filter(([name]) => ["identity", "level", "occlusion"].includes(name))
    .map(([name, value]) => `${name} ${typeof value === "number" ? signed(value) : value}`).join(", ");

  function explore(data) {
    const count = data.stimuli.length;
    const canvases = { network: find("network-rdm"), human: find("human-rdm") };
    const pick = { network: find("pick-network"), layer: find("pick-layer"), occlusion: find("pick-occlusion"), scale: find("pick-scale") };
    const grouping = ["occlusion", "identity", "level"].find((name) => data.factors.includes(name)
      && new Set(data.stimuli.map((one) => String(one.factors[name]))).size > 1
      && new Set(data.stimuli.map((one) => String(one.factors[name]))).size <= count / 2);
    const mostGroups = 30;
    const steps = find("slide-layer");
    const human = data.human ? decode(data.human, count) : null;
    let shown = null;
    let cell = [0, count - 1];

    [...new Map(data.rdms.map((rdm) => [rdm.network, rdm.label]))].forEach(([value, text]) => option(pick.network, value, text));
    const occlusions = [...new Set(data.stimuli.map((one) => one.factors.occlusion).filter((one) => one !== undefined))];
    if (occlusions.length > 1) {
      find("occlusion-label").hidden = false;
      option(pick.occlusion, "", "all");
      occlusions.forEach((value) => option(pick.occlusion, String(value), String(value)));
    }
    const listLayers = () => {
      const before = pick.layer.value;
      pick.layer.replaceChildren();
      const layers = data.rdms.filter((rdm) => rdm.network === pick.network.value).map((rdm) => rdm.layer);
      layers.forEach((layer) => option(pick.layer, layer, layer));
      pick.layer.value = layers.includes(before) ? before : layers[layers.length - 1];
      steps.max = layers.length - 1;
    };

    function select() {
      const rdm = data.rdms.find((one) => one.network === pick.network.value && one.layer === pick.layer.value);
      const wanted = pick.occlusion.value;
      const kept = data.stimuli.map((_, n) => n).filter((n) => !wanted || String(data.stimuli[n].factors.occlusion) === wanted);
      const values = decode(rdm, count);
      shown = { rdm, kept, network: { values, ...ranked(values, kept, count) }, human: human && { values: human, ...ranked(human, kept, count) } };
      cell = cell.map((n) => Math.min(n, kept.length - 1));
      steps.value = pick.layer.selectedIndex;
      steps.setAttribute("aria-valuetext", rdm.layer);
      find("network-caption").textContent = `${rdm.label} ${rdm.layer}`;
      draw();
      tell();
    }

    function paint(canvas, part) {
      if (!canvas || !part) return;
      const kept = shown.kept;
      const cells = kept.length;
      const ratio = window.devicePixelRatio || 1;
      const side = Math.max(Math.floor(canvas.clientWidth), 120);
      canvas.style.height = `${side}px`;
      canvas.width = canvas.height = Math.round(side * ratio);
      const context = canvas.getContext("2d");
      const image = context.createImageData(cells, cells);
      const byRank = pick.scale.value === "rank";
      for (let a = 0; a < cells; a += 1) {
        for (let b = 0; b < cells; b += 1) {
          const at = kept[a] * count + kept[b];
          const share = byRank ? (part.ranks[at] - 1) / Math.max(part.total - 1, 1) : (part.values[at] - part.low) / ((part.high - part.low) || 1);
          const shade = Number.isNaN(share) ? null : content.ramp[Math.min(Math.max(Math.round(share * 255), 0), 255)];
          const to = 4 * (a * cells + b);
          for (let k = 0; k < 3; k += 1) image.data[to + k] = shade ? parseInt(shade.slice(2 * k, 2 * k + 2), 16) : 225;
          image.data[to + 3] = 255;
        }
      }
      const small = document.createElement("canvas");
      small.width = small.height = cells;
      small.getContext("2d").putImageData(image, 0, 0);
      context.imageSmoothingEnabled = cells > canvas.width;  // else whole rows would be skipped
      context.drawImage(small, 0, 0, canvas.width, canvas.height);
      const step = canvas.width / cells;
      context.strokeStyle = "#ffffff";
      context.lineWidth = Math.max(ratio * 0.8, 1);
      const edges = grouping ? kept.map((_, n) => n).filter((n) => n && String(data.stimuli[kept[n]].factors[grouping]) !== String(data.stimuli[kept[n - 1]].factors[grouping])) : [];
      if (edges.length < mostGroups && step > 2 * context.lineWidth) {  // else the lines would hide the cells
        for (const n of edges) {
          context.beginPath();
          context.moveTo(0, n * step); context.lineTo(canvas.width, n * step);
          context.moveTo(n * step, 0); context.lineTo(n * step, canvas.height);
          context.stroke();
        }
      }
      context.lineWidth = 2 * ratio;
      const mark = Math.max(step, 4 * ratio);
      [["#000000", 2 * ratio], ["#ffffff", 0]].forEach(([stroke, out]) => {
        context.strokeStyle = stroke;
        const [left, top] = [cell[1], cell[0]].map((n) => Math.min(Math.max(n * step, 3 * ratio), canvas.width - mark - 3 * ratio));
        context.strokeRect(left - out, top - out, mark + 2 * out, mark + 2 * out);
      });
    }

    function draw() {
      paint(canvases.network, shown.network);
      paint(canvases.human, shown.human);
    }

    function tell() {
      const [i, j] = cell.map((n) => shown.kept[n]);
      ["i", "j"].forEach((side, n) => {
        const stimulus = data.stimuli[[i, j][n]];
        showFace(find(`face-${side}`), stimulus);
        const more = described(stimulus);
        find(`name-${side}`).textContent = more ? `${stimulus.id} (${more})` : stimulus.id;
      });
      const lines = [];
      const rows = [["Dissimilarity", shown.network], ["People", shown.human]];
      rows.forEach(([name, part]) => {
        if (!part) return;
        const at = i * count + j;
        const judged = !Number.isNaN(part.values[at]);
        lines.push([name, i === j ? "same face" : judged ? part.values[at].toFixed(3) : "never judged"]);
        if (i !== j && judged) lines.push([`${name === "People" ? "People’s rank" : "Rank"}`, `${part.ranks[at]} of ${part.total}`]);
      });
      const list = find("pair-values");
      list.replaceChildren();
      lines.forEach(([term, value]) => {
        const dt = document.createElement("dt");
        const dd = document.createElement("dd");
        dt.textContent = term;
        dd.textContent = value;
        list.append(dt, dd);
      });
    }

    function go(row, column) {
      const last = shown.kept.length - 1;
      const next = [Math.min(Math.max(row, 0), last), Math.min(Math.max(column, 0), last)];
      if (next[0] === cell[0] && next[1] === cell[1]) return;
      cell = next;
      draw();
      tell();
    }

    Object.values(canvases).filter(Boolean).forEach((canvas) => {
      canvas.addEventListener("pointermove", (event) => {
        const box = canvas.getBoundingClientRect();
        const step = box.width / shown.kept.length;
        go(Math.floor((event.clientY - box.top) / step), Math.floor((event.clientX - box.left) / step));
      });
      canvas.addEventListener("pointerdown", (event) => {
        const box = canvas.getBoundingClientRect();
        const step = box.width / shown.kept.length;
        go(Math.floor((event.clientY - box.top) / step), Math.floor((event.clientX - box.left) / step));
      });
      canvas.addEventListener("keydown", (event) => {
        const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
        if (!move) return;
        event.preventDefault();
        go(cell[0] + move[0], cell[1] + move[1]);
      });
    });
    pick.network.addEventListener("change", () => { listLayers(); select(); });
    [pick.layer, pick.occlusion, pick.scale].forEach((one) => one.addEventListener("change", select));
    steps.addEventListener("input", () => { pick.layer.selectedIndex = Number(steps.value); select(); });
    followLayer = (network, layer) => {
      if (!data.rdms.some((one) => one.network === network && one.layer === layer)) return;
      pick.network.value = network;
      listLayers();
      pick.layer.value = layer;
      select();
    };
    const named = () => `${shown.rdm.network.replace(/[^\w]+/g, "-")}-${shown.rdm.layer}`;
    savers.rdms = async (format) => {
      if (format === "csv") {
        const rows = [["stimulus_i", "stimulus_j", "dissimilarity", ...(human ? ["people"] : [])]];
        shown.kept.forEach((i, n) => shown.kept.slice(n + 1).forEach((j) => {
          const at = i * count + j;
          rows.push([data.stimuli[i].id, data.stimuli[j].id, ...[shown.network.values[at], ...(human ? [human[at]] : [])].map((one) => (Number.isNaN(one) ? "" : one))]);
        }));
        return save(`rdms-${named()}.csv`, csvOf(rows));
      }
      const drawn = [["network", find("network-caption").textContent], ["human", canvases.human && find("human-caption").textContent]].filter(([name]) => canvases[name]);
      const parts = drawn.map(([name, text], n) => `<g transform="translate(${20 + 440 * n} 0)"><text y="26" font-family="sans-serif" font-size="16">${escaped(text)}</text><image y="36" width="420" height="420" href="${canvases[name].toDataURL()}"/></g>`);
      const width = 20 + 440 * drawn.length;
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="476"><rect width="100%" height="100%" fill="#fff"/>${parts.join("")}</svg>`;
      return save(`rdms-${named()}.${format}`, format === "svg" ? new Blob([svg], { type: "image/svg+xml" }) : await asPicture(svg, width, 476));
    };
    document.querySelector(".ramp").style.background = `linear-gradient(90deg, ${content.ramp.map((one) => `#${one}`).filter((_, n) => n % 17 === 0).join(",")})`;
    pick.network.value = data.start.network;
    listLayers();
    pick.layer.value = data.start.layer;
    if (occlusions.length > 1) pick.occlusion.value = data.start.occlusion;
    select();
    window.addEventListener("resize", draw);
    return draw;
  }

  // Embeddings.
  function embed(data) {
    const svg = find("embedding");
    const pick = find("pick-embedding");
    const make = (tag, attributes) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
      Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
      return node;
    };
    data.embeddings.forEach((one, n) => option(pick, String(n), one.name));
    let chosen = 0;
    const heat = (level, reach) => {
      const share = Math.max(Math.min(level / (reach || 1), 1), -1);
      const ends = share < 0 ? [59, 76, 192] : [180, 4, 38];
      return `rgb(${ends.map((part) => Math.round(150 + (part - 150) * Math.abs(share))).join(",")})`;
    };

    function draw() {
      const one = data.embeddings[Number(pick.value)];
      const xs = one.points.map((point) => point[0]);
      const ys = one.points.map((point) => point[1]);
      const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
      const zoom = Math.min(540 / ((right - left) || 1), 420 / ((bottom - top) || 1));
      const tall = Math.max((bottom - top) * zoom + 70, 160);
      svg.setAttribute("viewBox", `0 0 600 ${tall.toFixed(0)}`);
      const at = one.points.map(([x, y]) => [300 + (x - (left + right) / 2) * zoom, tall / 2 - 8 - (y - (top + bottom) / 2) * zoom]);
      const stimuli = one.stimuli.map((n) => data.stimuli[n]);
      const levels = stimuli.map((stimulus) => Number(stimulus.factors.level));
      const reach = Math.max(...levels.map(Math.abs).filter(Number.isFinite), 0);
      svg.replaceChildren();
      const ways = new Map();
      stimuli.forEach((stimulus, n) => {
        if (stimulus.factors.identity === undefined || !Number.isFinite(levels[n])) return;
        const key = `${stimulus.factors.identity} ${stimulus.factors.occlusion}`;
        ways.set(key, [...(ways.get(key) || []), n]);
      });
      ways.forEach((members) => {
        members.sort((a, b) => levels[a] - levels[b]);
        svg.append(make("path", { d: members.map((n, place) => `${place ? "L" : "M"}${at[n][0].toFixed(1)} ${at[n][1].toFixed(1)}`).join("") }));
      });
      at.forEach(([x, y], n) => {
        const dot = make("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: 7, fill: Number.isFinite(levels[n]) ? heat(levels[n], reach) : "#8a8f99" });
        dot.addEventListener("pointerenter", () => choose(n));
        dot.addEventListener("click", () => choose(n));
        svg.append(dot);
      });
      const text = make("text", { x: 10, y: tall - 10 });
      const known = levels.filter(Number.isFinite);
      const [low, high] = [Math.min(...known), Math.max(...known)];
      const shades = known.length && low < high ? `; level: ${low < 0 ? "blue" : "gray"} ${signed(low)} to ${high > 0 ? "red" : "gray"} ${signed(high)}` : "";
      text.textContent = `stress ${one.stress.toFixed(2)}${shades}`;
      svg.append(text);
      svg.setAttribute("aria-label", `${one.name}: ${stimuli.length} stimuli as points, stress ${one.stress.toFixed(2)}`);
      choose(Math.min(chosen, stimuli.length - 1));
    }

    function choose(n) {
      chosen = n;
      const stimulus = data.stimuli[data.embeddings[Number(pick.value)].stimuli[n]];
      [...svg.querySelectorAll("circle")].forEach((dot, place) => dot.classList.toggle("chosen", place === n));
      showFace(find("point-face"), stimulus);
      const more = described(stimulus);
      find("point-name").textContent = more ? `${stimulus.id} (${more})` : stimulus.id;
    }

    savers.embeddings = async (format) => {
      const one = data.embeddings[Number(pick.value)];
      if (format === "csv") return save("points.csv", csvOf([["rdm", "stimulus", "x", "y"], ...one.points.map(([x, y], n) => [one.name, data.stimuli[one.stimuli[n]].id, x, y])]));
      const copy = onWhite(() => {
        const made = svg.cloneNode(true);
        const parts = [...svg.querySelectorAll("path, circle, text")];
        [...made.querySelectorAll("path, circle, text")].forEach((part, n) => {
          const style = getComputedStyle(parts[n]);
          ["fill", "stroke", "stroke-width", "font-size", "opacity"].forEach((name) => part.setAttribute(name, style.getPropertyValue(name)));
        });
        return made;
      });
      const [, , width, height] = copy.getAttribute("viewBox").split(" ").map(Number);
      Object.entries({ xmlns: "http://www.w3.org/2000/svg", width, height, "font-family": "sans-serif" }).forEach(([name, value]) => copy.setAttribute(name, value));
      const text = new XMLSerializer().serializeToString(copy);
      return save(`points.${format}`, format === "svg" ? new Blob([text], { type: "image/svg+xml" }) : await asPicture(text, width, height));
    };
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const count = data.embeddings[Number(pick.value)].stimuli.length;
      choose((chosen + step + count) % count);
    });
    pick.addEventListener("change", draw);
    draw();
    return draw;
  }

  // Tables.
  const valueOf = (cell) => (cell.dataset.value === undefined ? cell.textContent : cell.dataset.value);
  document.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => {
    const head = button.parentElement;
    const table = head.closest("table");
    const column = [...head.parentElement.children].indexOf(head);
    const down = head.getAttribute("aria-sort") === "ascending";
    const numeric = head.classList.contains("number");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, place) => [valueOf(row.cells[column]), place, row]);
    rows.sort(([a, n], [b, m]) => {
      if (a === "" || b === "") return (a === "") - (b === "") || n - m;
      const order = numeric ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
      return (down ? -order : order) || n - m;
    });
    [...head.parentElement.children].forEach((one) => one.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows.map(([, , row]) => row));
  }));
  document.querySelectorAll("button.export").forEach((button) => button.addEventListener("click", () => {
    const table = find(`table-${button.dataset.table}`);
    const lines = [...table.rows].map((row) => [...row.cells].map((cell) => quoted(cell.tagName === "TH" ? cell.textContent : valueOf(cell), cell.classList.contains("number"))).join(","));
    save(`${button.dataset.table}.csv`, new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
  }));
  const copy = find("copy-methods");
  if (copy) {
    copy.addEventListener("click", () => {
      const range = document.createRange();
      range.selectNodeContents(find("methods-text"));
      const selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      find("copied").textContent = document.execCommand("copy") ? "Copied." : "Selected; press Ctrl+C.";
    });
  }

  const drawers = [];
  if (content.explorer) drawers.push(explore(content.explorer));
  if (content.explorer && content.explorer.embeddings.length) drawers.push(embed(content.explorer));
  const redraw = () => { drawCharts(); if (savers.read) savers.read(); drawers.forEach((draw) => draw()); };
  dark.addEventListener("change", redraw);
  const tables = [...document.querySelectorAll("details:not(.long)")].filter((one) => one.querySelector("table"));
  let opened = [];
  const print = (on) => {
    if (on === printing) return;
    printing = on;
    document.documentElement.classList.toggle("printing", on);
    if (on) opened = tables.filter((one) => one.open);
    tables.forEach((one) => { one.open = on || opened.includes(one); });
    redraw();
  };
  find("print-figures").addEventListener("click", () => {
    document.documentElement.classList.add("figures-only");
    window.print();
  });
  window.addEventListener("afterprint", () => document.documentElement.classList.remove("figures-only"));
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
  window.matchMedia("print").addEventListener("change", (event) => print(event.matches));
  redraw();
  document.documentElement.dataset.ready = "yes";
})();
