// What the page does beyond HTML: charts, keys, the bound on live rows, pause, and a word when the door is away.
// Every part has a way without script: a chart's table, a key's link, the live screen's "Newer".
"use strict";
(() => {
  const LIVE_ROWS = 150;
  const drawn = new Map(); // frame -> { chart, table }

  const unfolded = new Set(); // what the reader has opened stays open when its part of the screen is replaced
  addEventListener("click", event => {
    const fold = event.target.closest("summary")?.parentElement;
    if (fold?.id) unfolded[fold.open ? "delete" : "add"](fold.id);
  });

  // uPlot writes styles through the DOM alone, which the policy of contents allows.
  function resolved(name) { // a canvas does not know light-dark()
    const probe = document.createElement("span");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  }

  // A table with data-chart: the first column is x, each further th with data-tone is a line.
  function draw(table) {
    const heads = [...table.tHead.rows[0].cells];
    const rows = [...table.tBodies[0].rows];
    const number = cell => cell.dataset.value === undefined || cell.dataset.value === "" ? null : Number(cell.dataset.value);
    const data = heads.map((_, column) => rows.map(row => number(row.cells[column])));
    const frame = document.getElementById(table.dataset.chart);
    const time = table.dataset.x === "time";
    const ink = resolved("quiet"), line = resolved("line");
    const brief = rows.length > 1 && number(rows[1].cells[0]) - number(rows[0].cells[0]) < 60;
    const clock = seconds => new Date(seconds * 1e3).toISOString().slice(11, brief ? 19 : 16);
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const unit = table.dataset.unit || "";
    const series = heads.map((head, column) => column === 0
      ? { label: head.textContent.trim(), value: (_, value) => value === null ? "–" : time ? clock(value) : value.toLocaleString("en") }
      : { label: head.textContent.trim(), stroke: resolved(head.dataset.tone), width: 2, points: { show: rows.length < 60, size: 5 },
          spanGaps: !time, value: (_, value) => value === null ? "–" : `${value.toLocaleString("en")}${unit}` });
    drawn.get(frame)?.chart.destroy();
    frame.hidden = false;
    const chart = new uPlot({
      width: frame.clientWidth, height: 240, series,
      scales: { x: { time }, y: { range: (_, low, high) => table.dataset.y === "data" ? [low, high] : [0, Math.max(high * 1.1, 1)] } },
      axes: [time ? { ...axis, values: (_, values) => values.map(clock) } : axis, { ...axis, size: 64, values: (_, values) => values.map(value => `${value.toLocaleString("en")}${unit}`) }],
      cursor: { drag: { x: false, y: false } },
      tzDate: seconds => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
    }, data, frame);
    chart.root.setAttribute("role", "img");
    chart.root.setAttribute("aria-label", `${table.caption.textContent.trim()}; its numbers stand in the table below.`);
    drawn.set(frame, { chart, table });
  }

  function charts() {
    for (const [frame, { chart }] of drawn) {
      if (!frame.isConnected) { chart.destroy(); drawn.delete(frame); }
    }
    for (const table of document.querySelectorAll("table[data-chart]")) {
      if (drawn.get(document.getElementById(table.dataset.chart))?.table === table) continue;
      table.closest("details").open = false;
      draw(table);
    }
    for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
  }

  const again = () => { for (const { table } of [...drawn.values()]) draw(table); };
  let resizing;
  addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(again, 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);

  // The element with this key in aria-keyshortcuts is followed, pressed or focused.
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), textarea, select")) return;
    const found = document.querySelector(`[aria-keyshortcuts="${CSS.escape(event.key)}"]`);
    if (!found) return;
    event.preventDefault();
    if (found.matches("input")) found.focus(); else found.click();
  });

  // A search among choices: whole names first, then beginnings, then the rest, each in the order of the page. The first
  // nine have the digits, but for a digit with which a name goes on: that one is typed.
  const first = new Map(); // list -> its choices, in the order of the page
  const listed = box => {
    const list = document.getElementById(box.dataset.filter);
    if (!first.has(list)) first.set(list, [...list.querySelectorAll("button, label")].map(choice => ({ choice, field: choice.querySelector("input") || choice })));
    return first.get(list).map(each => ({ ...each, name: each.field.value.toLowerCase() }));
  };
  const typed = box => box.value.trim().toLowerCase();
  const goesOn = (box, digit) => typed(box) !== "" && listed(box).some(({ name }) => name.includes(typed(box) + digit));
  addEventListener("input", event => {
    const box = event.target.closest("[data-filter]");
    if (!box) return;
    const wanted = typed(box);
    const rank = name => wanted === "" ? 0 : name === wanted ? 0 : name.startsWith(wanted) ? 1 : name.includes(wanted) ? 2 : 3;
    const digits = [..."123456789"].filter(digit => !goesOn(box, digit));
    for (const { choice, field, name } of listed(box).sort((one, other) => rank(one.name) - rank(other.name))) {
      choice.hidden = rank(name) === 3;
      const own = choice.hidden ? "" : digits.shift() || "";
      choice.querySelector("kbd").textContent = own;
      if (own) field.setAttribute("aria-keyshortcuts", own); else field.removeAttribute("aria-keyshortcuts");
      choice.parentElement.append(choice);
    }
  });
  addEventListener("keydown", event => {
    const box = event.target.closest("[data-filter]");
    if (!box || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    let chosen = null;
    if (event.key === "Enter") { // never submits by itself; takes what is meant without doubt
      event.preventDefault();
      const shown = listed(box).filter(({ choice }) => !choice.hidden), whole = shown.filter(({ name }) => name === typed(box));
      if (typed(box)) chosen = (shown.length === 1 ? shown : whole.length === 1 ? whole : [])[0]?.field;
    } else if (/^[0-9]$/.test(event.key) && !goesOn(box, event.key)) {
      chosen = box.form.querySelector(`[aria-keyshortcuts="${event.key}"]`);
    }
    if (!chosen) return;
    event.preventDefault();
    chosen.click();
  });

  const pause = () => document.getElementById("pause");
  const paused = () => pause()?.getAttribute("aria-pressed") === "true";
  addEventListener("click", event => {
    const button = event.target.closest("#pause");
    if (!button) return;
    button.setAttribute("aria-pressed", String(!paused()));
    button.textContent = paused() ? "Go on" : "Pause";
    const counted = document.getElementById("counted");
    if (counted) counted.textContent = paused() ? "Paused: what comes meanwhile is not shown." : "What comes from now on is shown.";
  });
  document.addEventListener("htmx:sse:before:message", event => { if (paused()) event.preventDefault(); });

  function away(says) {
    const banner = document.getElementById("away");
    banner.querySelector("[data-says=away]").hidden = says !== "away";
    banner.querySelector("[data-says=ended]").hidden = says !== "ended";
    banner.hidden = !says;
  }
  const refused = status => status === 401 || status === 403;
  document.addEventListener("htmx:error", () => away("away"));
  document.addEventListener("htmx:response:error", event => away(refused(event.detail.ctx.response.status) ? "ended" : "away"));
  document.addEventListener("htmx:sse:error", event => away(refused(event.detail.status) ? "ended" : "away"));
  document.addEventListener("htmx:sse:after:connection", event => { if (event.detail.connection.status === 200) away(null); });
  document.addEventListener("htmx:after:swap", event => {
    away(null);
    for (const body of document.querySelectorAll("tbody[data-live]")) {
      while (body.rows.length > LIVE_ROWS) body.rows[body.rows.length - 1].remove();
    }
    charts();
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const element of document.querySelectorAll("[data-script]")) element.hidden = false;
    charts();
  });
})();
