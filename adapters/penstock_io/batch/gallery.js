"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const rows = data.rows;
  const sums = data.summary;
  const STATUSES = ["completed", "partial", "failed", "ambiguous", "invalid", "pending"];
  const CHOICES = { model: "All models", size: "All sizes", quality: "All qualities" };
  const SORTS = { "": "Input order", cost: "Cost, highest first", time: "Time, longest first", attempts: "Attempts, most first" };
  const ZOOMS = { small: "Small", "": "Medium", large: "Large" };
  const WIDTHS = { small: [104, 150], "": [150, 250], large: [300, 400] };
  const node = (id) => document.getElementById(id);
  const grid = node("grid"), box = node("box");

  // Nodes are made, never parsed: no text of a row can become markup.
  function make(tag, traits, ...inside) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(traits || {})) {
      if (name === "class") made.className = value;
      else if (name === "text") made.textContent = value;
      else if (name in made) made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...inside.filter((part) => part !== null));
    return made;
  }

  const address = (file) => file.split("/").map((part) => encodeURIComponent(part)).join("/");
  const named = (row) => (row.id === undefined ? `row ${row.index + 1}` : row.id);
  const count = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
  const across = (size) => size.replace("x", " × ");

  function lasting(seconds) {
    const all = Number(seconds);
    if (all < 60) return `${all < 10 ? all.toFixed(1) : Math.round(all)} s`;
    const minutes = Math.floor(all / 60);
    return minutes < 60 ? `${minutes} min ${Math.round(all % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }
  const said = (value) => (typeof value === "string" ? value : JSON.stringify(value));

  // What a search looks through, made when the first search comes.
  function words(row) {
    row.words ??= [named(row), row.prompt, row.revised, row.error, ...(row.warnings || []), row.meta ? JSON.stringify(row.meta) : ""]
      .flat().join("\n").toLowerCase();
    return row.words;
  }

  // ---- what is asked for, which is the address after its hash

  let state = {}, shown = [];
  function read() {
    const asked = new URLSearchParams(location.hash.slice(1));
    state = Object.fromEntries(["q", "status", "model", "size", "quality", "sort", "zoom", "show", "k"].map((name) => [name, asked.get(name) || ""]));
    if (!(state.sort in SORTS)) state.sort = "";
    if (!(state.zoom in ZOOMS)) state.zoom = "";
  }

  function write(changes, step) {
    Object.assign(state, changes);
    const told = new URLSearchParams(Object.entries(state).filter(([, value]) => value)).toString();
    const target = told ? `#${told}` : "#";
    if (target === (location.hash || "#")) return;
    try {
      history[step ? "pushState" : "replaceState"](null, "", target);
    } catch {
      location.replace(target);
    }
  }

  function choose() {
    const wanted = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    shown = rows.filter((row) =>
      (!state.status || row.status === state.status) &&
      Object.keys(CHOICES).every((name) => !state[name] || row[name] === state[name]) &&
      wanted.every((word) => words(row).includes(word)));
    const by = { cost: (row) => Number(row.cost || -1), time: (row) => Number(row.seconds || -1), attempts: (row) => row.attempts }[state.sort];
    if (by) shown.sort((one, other) => by(other) - by(one) || one.index - other.index);
  }

  // ---- the head

  function head() {
    const total = sums.requested ?? rows.length;
    const kinds = Object.keys(CHOICES).map((name) => [...new Set(rows.map((row) => row[name]).filter(Boolean))]);
    node("under").textContent = [count(total, "row"), ...kinds.filter((kind) => kind.length === 1).map(([only]) => (/^\d+x\d+$/.test(only) ? across(only) : only))].join("  ·  ");
    const tell = (label, value, more) => node("sums").append(
      make("div", {}, make("dt", { text: label }), make("dd", {}, value, more ? make("small", { text: ` ${more}` }) : null)));
    if (sums.images !== undefined) tell("pictures", sums.images.toLocaleString("en"));
    for (const [label, amount] of Object.entries(data.amounts)) tell(label, amount);
    if (sums.images_per_minute) tell("pace", String(Math.round(sums.images_per_minute * 10) / 10), "a minute");
    if (sums.seconds) tell("time", lasting(sums.seconds));
    const counts = STATUSES.map((status) => [status, rows.filter((row) => row.status === status).length]).filter(([, number]) => number);
    for (const [status, number] of counts) {
      const part = make("i", { class: status });
      part.style.flexGrow = number;
      node("bar").append(part);
    }
    node("bar").setAttribute("aria-label", counts.map(([status, number]) => `${number} ${status}`).join(", ") || "no rows");
    const chip = (status, label, number) => {
      const made = make("button", { type: "button", class: `chip ${status || "all"}` }, label, " ", make("b", { text: number.toLocaleString("en") }));
      made.dataset.status = status;
      made.addEventListener("click", () => change({ status: state.status === status ? "" : status }));
      node("statuses").append(made);
    };
    if (counts.length > 1) {
      chip("", "all", rows.length);
      for (const [status, number] of counts) chip(status, status, number);
    }
    const pick = (name, label, options) => {
      const made = make("select", { "aria-label": label, id: name }, ...options.map(([value, text]) => make("option", { value, text })));
      made.addEventListener("change", () => change({ [name]: made.value }));
      node("choices").append(made);
    };
    Object.keys(CHOICES).forEach((name, place) => {
      if (kinds[place].length > 1) pick(name, name, [["", CHOICES[name]], ...kinds[place].sort().map((value) => [value, value])]);
    });
    pick("sort", "Order", Object.entries(SORTS));
    pick("zoom", "Size of the cards", Object.entries(ZOOMS));
    if (!rows.length) node("tools").hidden = true;
  }

  // ---- the cards

  const shape = (() => {
    const tally = new Map();
    for (const row of rows) if (/^\d+x\d+$/.test(row.size || "")) tally.set(row.size, (tally.get(row.size) || 0) + 1);
    const [most] = [...tally].sort((one, other) => other[1] - one[1])[0] || ["1x1"];
    const [wide, high] = most.split("x").map(Number);
    return wide && high ? Math.min(1.9, Math.max(0.6, wide / high)) : 1;
  })();
  const sizes = new Set(rows.map((row) => row.size)).size;

  function shot(row, file) {
    const [wide, high] = (row.size || "").split("x").map(Number);
    const made = make("span", { class: wide && high && Math.abs(wide / high - shape) < 0.02 ? "shot" : "shot whole" });
    const image = make("img", { alt: row.prompt || named(row), decoding: "async" });
    image.addEventListener("error", () => made.classList.add("gone"));
    image.src = address(file);
    made.append(image);
    return made;
  }

  function marks(row) {
    const made = make("span", { class: "marks" });
    const mark = (text, kind) => made.append(make("span", { class: `mark ${kind || ""}`, text }));
    const files = row.files || [];
    if (files.length && row.status !== "completed") mark(row.status, `hue ${row.status}`);
    if (files.length > 1) mark(`${files.length} pictures`);
    if (row.cached) mark("cached");
    if (row.shared) mark("shared");
    if (row.warnings) mark(count(row.warnings.length, "warning"));
    return made;
  }

  function facts(row) {
    const made = make("p", { class: "facts" });
    const fact = (text, kind) => made.append(make("span", { class: kind || "", text }));
    if (row.cost !== undefined && (row.attempts || Number(row.cost))) fact(row.paid, "cost");
    if (row.seconds !== undefined) fact(lasting(row.seconds));
    if (row.attempts > 1) fact(count(row.attempts, "attempt"), "tries");
    if (row.size && sizes > 1) fact(across(row.size), "size");
    return made;
  }

  const QUIET = { pending: "Not sent yet: the same command goes on.", invalid: "The row is wrong and was left out." };

  function card(place) {
    const row = shown[place], files = row.files || [];
    const label = `${row.status === "completed" ? "" : `${row.status}: `}${(row.prompt || named(row)).slice(0, 200)}`;
    const open = make("button", { type: "button", "aria-label": label });
    if (files.length) {
      open.className = ["pic", "pic two", "pic many three", "pic many"][Math.min(files.length, 4) - 1];
      open.append(...files.slice(0, 4).map((file) => shot(row, file)), marks(row));
    } else {
      open.className = `pic why ${row.status} ${row.status === "pending" ? "quiet" : ""}`;
      open.append(make("strong", { text: row.status }), make("span", { text: row.error || QUIET[row.status] || "", dir: "auto" }));
    }
    open.style.height = `${size.high}px`;
    open.addEventListener("click", () => look(row, 0));
    const made = make("li", { class: `card ${row.status}`, "aria-posinset": place + 1, "aria-setsize": shown.length }, open,
      make("div", { class: "say" }, make("p", { class: "prompt", text: row.prompt || named(row), dir: "auto", title: named(row) }), facts(row)));
    made.dataset.place = place;
    made.style.height = `${size.card}px`;
    return made;
  }

  // Only what is near the view has nodes: rows of cards are all of one height, so the rest is padding.
  const size = { columns: 1, high: 0, card: 0, step: 0 };
  let cards = new Map();

  function measure() {
    const gap = parseFloat(getComputedStyle(grid).rowGap) || 0;
    const wide = grid.clientWidth, least = WIDTHS[state.zoom][innerWidth <= 760 ? 0 : 1];
    size.columns = Math.max(1, Math.floor((wide + gap) / (least + gap)));
    size.high = Math.round((wide - gap * (size.columns - 1)) / size.columns / shape);
    size.card = size.high + (state.zoom === "small" ? 88 : 98);
    size.step = size.card + gap;
    grid.classList.toggle("small", state.zoom === "small");
    grid.style.gridTemplateColumns = `repeat(${size.columns}, minmax(0, 1fr))`;
    document.documentElement.style.setProperty("--shape", shape);
  }

  function draw(all) {
    const lines = Math.ceil(shown.length / size.columns);
    const above = -grid.getBoundingClientRect().top, view = innerHeight;
    const first = all ? 0 : Math.max(0, Math.min(lines, Math.floor((above - view) / size.step)));
    const last = all ? lines : Math.max(first, Math.min(lines, Math.ceil((above + 2 * view) / size.step)));
    const next = new Map();
    for (let place = first * size.columns; place < Math.min(shown.length, last * size.columns); place++) {
      next.set(place, cards.get(place) || card(place));
    }
    for (const [place, old] of cards) if (next.get(place) !== old) old.remove();
    let before = null;
    for (const made of next.values()) {
      if (made.previousSibling !== before || made.parentNode !== grid) grid.insertBefore(made, before ? before.nextSibling : grid.firstChild);
      before = made;
    }
    cards = next;
    grid.style.paddingTop = `${first * size.step}px`;
    grid.style.paddingBottom = `${Math.max(0, lines - last) * size.step}px`;
  }

  function renew() {
    cards.forEach((made) => made.remove());
    cards = new Map();
    measure();
    draw();
  }

  // Whoever has the keyboard on a card keeps it there although the card is made anew.
  function keep(redraw) {
    const place = document.activeElement?.closest(".card")?.dataset.place;
    redraw();
    if (place !== undefined) cards.get(Number(place))?.querySelector("button").focus({ preventScroll: true });
  }

  function list() {
    choose();
    for (const chip of node("statuses").children) chip.setAttribute("aria-pressed", String(chip.dataset.status === state.status));
    for (const picked of node("choices").children) picked.value = state[picked.id];
    if (node("q").value !== state.q) node("q").value = state.q;
    const files = shown.reduce((sum, row) => sum + (row.files || []).length, 0);
    node("found").textContent = shown.length === rows.length ? "" : `${count(shown.length, "row")} of ${rows.length.toLocaleString("en")}, ${count(files, "picture")}`;
    node("none").hidden = shown.length > 0;
    node("none").textContent = rows.length ? "Nothing here fits the search." : "There are no rows.";
    renew();
  }

  function change(changes) {
    write(changes);
    list();
    const top = node("tools").offsetTop;
    if (scrollY > top) scrollTo(0, top);
  }

  // ---- one picture at a time

  const found = () => shown.findIndex((row) => String(row.index) === state.show);

  function look(row, k) {
    write({ show: String(row.index), k: k ? String(k + 1) : "" }, !box.open);
    view();
  }

  function view() {
    const row = rows.find((each) => String(each.index) === state.show);
    if (!row) {
      if (box.open) box.close();
      return;
    }
    const files = row.files || [], k = Math.min(Math.max(0, Number(state.k || 1) - 1 || 0), Math.max(0, files.length - 1));
    const stage = node("stage");
    if (files.length) {
      const image = make("img", { alt: row.prompt || named(row), decoding: "async" });
      image.addEventListener("error", () => stage.replaceChildren(make("p", { text: `The file is not there any more: ${files[k]}` })));
      image.src = address(files[k]);
      stage.replaceChildren(image);
    } else {
      stage.replaceChildren(make("p", { text: row.error || QUIET[row.status] || row.status, dir: "auto" }));
    }
    node("side").replaceChildren(...about(row, files, k));
    node("side").scrollTop = 0;
    const place = found();
    node("back").disabled = place <= 0 && k === 0;
    node("on").disabled = (place < 0 || place >= shown.length - 1) && k >= files.length - 1;
    if (!box.open) box.showModal();
    box.scrollTop = 0;
    const following = shown[place + 1];
    if (following && following.files) new Image().src = address(following.files[0]);
  }

  function about(row, files, k) {
    const block = (title, text, kind) => (text ? make("section", {}, make("h2", { text: title }), make("p", { class: kind, text, dir: "auto" })) : null);
    const copy = make("button", { type: "button", class: "act", text: "Copy prompt" });
    copy.addEventListener("click", () => copied(row.prompt || "", copy));
    const acts = make("div", { class: "acts" }, row.prompt ? copy : null);
    // An SVG that is opened by itself may run scripts; as a picture it cannot.
    if (files.length && !/\.svgz?$/i.test(files[k])) acts.append(make("a", { class: "act", text: "Open file", href: address(files[k]), target: "_blank", rel: "noopener" }));
    const place = found(), several = files.length > 1 ? `  ·  picture ${k + 1} of ${files.length}` : "";
    const list = make("dl", { class: "list" });
    const tell = (name, value) => value !== undefined && value !== "" && list.append(make("dt", { text: name }), make("dd", { text: value, dir: "auto" }));
    tell("Status", [row.status, row.cached && "from the cache", row.shared && "shared"].filter(Boolean).join(", "));
    tell("Cost", row.cost === undefined ? "unknown" : `$${row.cost}`);
    tell("Time", row.seconds && lasting(row.seconds));
    tell("Attempts", row.attempts || undefined);
    tell("Model", row.model);
    tell("Size", row.size && across(row.size));
    tell("Quality", row.quality);
    tell("File", files[k]);
    for (const [name, value] of Object.entries(row.meta || {})) tell(name, said(value));
    return [
      make("p", { class: "where" }, `${place < 0 ? "not in this selection" : `${place + 1} of ${shown.length}`}${several}`, make("b", { text: named(row) })),
      block("Prompt", row.prompt, "full"), acts, block("Why", row.error, "bad"), block("Revised prompt", row.revised, "full"),
      block("Warnings", (row.warnings || []).join("\n"), "full"), list,
    ].filter(Boolean);
  }

  async function copied(text, button) {
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make("textarea", { value: text, class: "away" });
      box.append(area);
      area.select();
      done = document.execCommand("copy");
      area.remove();
    }
    button.textContent = done ? "Copied" : "Copying is not allowed here";
    setTimeout(() => { button.textContent = "Copy prompt"; }, 1600);
  }

  function go(step) {
    const place = found(), row = shown[place];
    if (!row) return;
    const k = Number(state.k || 1) - 1 + step, files = row.files || [];
    if (k >= 0 && k < files.length) look(row, k);
    else if (shown[place + step]) look(shown[place + step], step < 0 ? Math.max(0, (shown[place - 1].files || []).length - 1) : 0);
  }

  // By the button at once; by Escape and by the way back with the dialog's event, which comes a frame later, when
  // there may be nothing left to do, or another picture open already.
  function leave() {
    if (box.open || !state.show) return;
    const place = found();
    write({ show: "", k: "" });
    if (place >= 0) reveal(place);
  }

  function reveal(place) {
    const top = grid.getBoundingClientRect().top + scrollY + Math.floor(place / size.columns) * size.step;
    const bar = node("tools").offsetHeight;
    if (top < scrollY + bar || top + size.card > scrollY + innerHeight) scrollTo(0, top - bar - 20);
    draw();
    cards.get(place)?.querySelector("button").focus({ preventScroll: true });
  }

  // ---- hands

  node("q").addEventListener("input", (event) => change({ q: event.target.value }));
  node("back").addEventListener("click", () => go(-1));
  node("on").addEventListener("click", () => go(1));
  node("shut").addEventListener("click", () => { box.close(); leave(); });
  box.addEventListener("close", leave);
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) { event.preventDefault(); go(step); }
  });
  grid.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: size.columns, ArrowUp: -size.columns }[event.key];
    const from = event.target.closest(".card");
    if (!step || !from) return;
    event.preventDefault();
    const place = Number(from.dataset.place) + step;
    if (place >= 0 && place < shown.length) reveal(place);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !box.open && document.activeElement !== node("q")) { event.preventDefault(); node("q").focus(); }
  });
  addEventListener("scroll", () => draw(), { passive: true });
  let width = 0;
  function fit() {
    if (grid.clientWidth === width) return;
    const first = width ? Math.floor((scrollY - grid.offsetTop) / size.step) * size.columns : 0;
    width = grid.clientWidth;
    renew();
    if (first > 0) { scrollTo(0, grid.offsetTop + Math.floor(first / size.columns) * size.step); draw(); }
  }
  addEventListener("resize", () => requestAnimationFrame(() => keep(fit)));
  addEventListener("hashchange", () => {
    const old = state;
    read();
    if (Object.keys(state).some((name) => name !== "show" && name !== "k" && state[name] !== old[name])) list();
    view();
  });
  addEventListener("beforeprint", () => keep(() => { cards.forEach((made) => made.remove()); cards = new Map(); draw(true); }));
  addEventListener("afterprint", () => keep(renew));

  read();
  head();
  list();
  width = grid.clientWidth;
  view();
})();
