// SPDX-License-Identifier: Apache-2.0
// The page: one event stream feeds the store, the store feeds the table; filter, tab and sort order live
// in the address.

import {
  History, age, byId, count, drawSpark, el, rate, setClass, setText, setTitle, short, spark,
} from "./dom.js";
import { api, base } from "./base.js";
import { isDocumentAddress, documentAddress, readDocumentAddress } from "./document_path.js";
import { Problems, Registry } from "./panels.js";
import { Overrides } from "./overrides.js";
import { Store, words } from "./store.js";
import { Table } from "./table.js";

const SILENCE_MS = 5000;   // the server speaks every second
const RETRY_MS = 2000;
const RESORT_TICKS = 5;    // rows sorted by a moving number change places only so often
const REGISTRY_TICKS = 2;
const ARRANGE_MS = 500;    // changes of the table that come faster are shown together

const store = new Store();
const table = new Table(store, setSort);
const problems = new Problems(() => drawEmpty());
const registry = new Registry();
const overrides = new Overrides(onDocument);
const state = {
  tab: "routes", filter: "", ticks: 0, lastEvent: 0, isLive: false, isCut: false, arranging: 0, arrangedAt: 0,
};

// ---- address

function readAddress() {
  const params = new URLSearchParams(location.search);
  state.filter = params.get("filter") || "";
  state.tab = ["problems", "registry", "overrides"].includes(params.get("tab")) ? params.get("tab") : "routes";
  state.document = "";
  if (isDocumentAddress()) {
    state.tab = "overrides";
    state.document = readDocumentAddress();
  }
  store.sort = params.get("sort") || "source";
}

function writeAddress() {
  if (state.tab === "overrides" && overrides.path !== null) {
    history.replaceState(null, "", documentAddress(overrides.path));
    return;
  }
  const params = new URLSearchParams();
  if (state.filter) params.set("filter", state.filter);
  if (state.tab !== "routes") params.set("tab", state.tab);
  if (store.sort !== "source") params.set("sort", store.sort);
  const query = params.toString();
  history.replaceState(null, "", `${base}routes${query ? `?${query}` : ""}`);
}

// ---- totals

const cards = {};

function newCard(key, text, hasSpark) {
  const root = el("div", `card ${key}`);
  const value = el("div", "value", "–");
  root.append(el("div", "label", text), value);
  const sub = el("div", "sub");
  root.append(sub);
  const card = { root, value, sub };
  if (hasSpark) {
    card.spark = spark(150, 30);
    card.history = new History();
    root.append(card.spark);
  }
  byId("cards").append(root);
  cards[key] = card;
}

newCard("requests", "Requests/s", true);
newCard("errors", "Errors/s", true);
newCard("open", "Open connections", true);
newCard("targets", "Targets up");
newCard("routes", "Routes");
newCard("data", "Registry data");

function drawCard(key, value, sub, className, title) {
  const card = cards[key];
  setText(card.value, value);
  setText(card.sub, sub);
  setClass(card.root, `card ${key} ${className || ""}`);
  setTitle(card.root, title || "");
}

const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

function drawTotals(t) {
  drawCard("requests", rate(t.req_s), `${short(t.requests)} in all`);
  drawCard("errors", rate(t.err_s), `${rate(t.no_route_s)}/s without route`, t.err_s > 0 ? "bad" : "",
    `${count(t.errors)} answers 5xx, ${count(t.no_route)} requests without a route, `
    + `${count(t.retries)} tried again`);
  drawCard("open", count(t.open), plural(t.in_flight, "request in flight", "requests in flight"));
  const down = [t.down ? `${count(t.down)} down` : "", t.ejected ? `${count(t.ejected)} ejected` : ""];
  drawCard("targets", count(t.up), down.filter((text) => text).join(", ") || "none down",
    t.down || t.ejected ? "warn" : "");
  drawCard("routes", count(t.routes), plural(t.hosts, "host", "hosts"), "",
    `table ${t.table_version}, digest ${t.table_digest}`);
  const hasAge = t.data_age_ms !== undefined;
  const isOld = hasAge && t.data_age_ms >= 5000;
  drawCard("data", !hasAge ? "–" : isOld ? `${age(t.data_age_ms)} old` : "current",
    `table ${t.table_digest.slice(0, 8)}`, isOld ? "bad" : "");
  for (const [key, value] of [["requests", t.req_s], ["errors", t.err_s], ["open", t.open]]) {
    cards[key].history.push(value);
    drawSpark(cards[key].spark, cards[key].history);
  }
  setText(byId("count-problems"), t.problems ? count(t.problems) : "");
  setClass(byId("count-problems"), t.lost ? "bad" : "warn");
  setText(byId("count-routes"), count(t.routes));
  const ready = byId("ready");
  ready.hidden = t.ready;
  setText(ready, `not ready: ${t.ready_text}`);
  drawSnapshot(t.snapshot_ms);
  problems.load(t.problems_version);
}

// Routes from disk that the registry has not confirmed yet.
function drawSnapshot(savedMs) {
  const banner = byId("snapshot");
  banner.hidden = !savedMs;
  if (savedMs)
    setText(banner, `Serving routes of ${new Date(savedMs).toLocaleString()} from disk: `
      + "the registry has not answered all since the start.");
}

// ---- tabs, filter, sort

function drawShown() {
  const hidden = store.rows.size - store.shownTargets;
  let text = `${plural(store.shown.length, "route", "routes")}, `
    + plural(store.shownTargets, "target", "targets");
  if (hidden > 0) text += ` of ${count(store.rows.size)}`;
  if (state.isCut) text += " (the table has more: see api/routes)";
  setText(byId("shown"), text);
  byId("routes").hidden = store.shownTargets === 0;
  drawEmpty();
}

// Who looks for a route that is not there is told where to look next.
function drawEmpty() {
  const empty = byId("routes-empty");
  empty.hidden = store.shownTargets > 0 || !state.isLive;
  if (empty.hidden) return;
  setText(byId("routes-empty-text"), store.rows.size === 0 ? "No routes." : "No route matches the filter.");
  const found = problems.shown.length;
  const link = byId("routes-empty-problems");
  link.hidden = found === 0;
  setText(link, `${plural(found, "problem", "problems")}${state.filter.trim() ? " with these words" : ""}: look`);
  byId("routes-empty-why").hidden = found > 0;
}

function arrange() {
  clearTimeout(state.arranging);
  state.arranging = 0;
  state.arrangedAt = Date.now();
  store.arrange();
  drawShown();
  table.layout();
}

function arrangeSoon() {
  const pause = ARRANGE_MS - (Date.now() - state.arrangedAt);
  if (pause <= 0) arrange();
  else state.arranging ||= setTimeout(arrange, pause);
}

function setFilter(text) {
  state.filter = text;
  store.filter = words(text);
  problems.filter = store.filter;
  problems.draw();
  arrange();
}

function setSort(key) {
  store.sort = store.sort === key ? "source" : key;
  writeAddress();
  arrange();
}

function setTab(tab) {
  state.tab = tab;
  for (const button of document.querySelectorAll("[data-tab]")) {
    const isOpen = button.dataset.tab === tab;
    button.setAttribute("aria-selected", isOpen);
    byId(`panel-${button.dataset.tab}`).hidden = !isOpen;
  }
  document.body.dataset.open = tab;
  byId("filter-box").hidden = tab === "overrides" || tab === "registry";
  byId("shown").hidden = tab !== "routes";
  if (tab === "registry") registry.load();
  if (tab === "overrides") overrides.open(state.document);
  if (tab === "routes") table.draw();
}

// Another document is open in the editor.
function onDocument(path) {
  state.document = path;
  const address = documentAddress(path);
  if (state.tab !== "overrides" || address === location.pathname + location.search) return;
  if (isDocumentAddress()) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

// ---- events

function setLive(isLive) {
  state.isLive = isLive;
  setClass(byId("live"), `live ${isLive ? "on" : "off"}`);
  setText(byId("live-text"), isLive ? "live" : "reconnecting");
  const banner = byId("banner");
  banner.hidden = isLive;
  if (!isLive) byId("snapshot").hidden = true;
  if (!isLive) {
    setText(banner, state.lastEvent
      ? `Connection lost, trying again. The numbers are those of ${new Date(state.lastEvent).toLocaleTimeString()}.`
      : "No connection yet, trying again.");
  }
}

function onHello(hello) {
  table.setLinks(hello.source_links);
  setText(byId("version"), hello.version);
  setText(byId("title"), hello.title);
  document.title = hello.title ? `tagway – ${hello.title}` : "tagway";
  // ui.color is a class name of fabio's style sheet: "light-green darken-2"
  document.documentElement.dataset.accent = hello.color.split(" ")[0];
}

function onTable(message) {
  store.reset(message);
  state.isCut = message.cut;
  setLive(true);
  drawTotals(message.totals);
  arrange();
}

function onRows(message) {
  store.change(message);
  state.isCut = message.cut;
  arrangeSoon();
}

function onTick(message) {
  state.ticks += 1;
  store.setFigures(message.figures);
  store.tick();
  drawTotals(message.totals);
  if (store.sort !== "source" && state.ticks % RESORT_TICKS === 0) arrange();
  else table.draw();
  if (state.tab === "registry" && state.ticks % REGISTRY_TICKS === 0) registry.load();
}

let source = null;

function connect() {
  if (source) source.close();
  source = new EventSource(api("events"));
  const on = (name, handle) => source.addEventListener(name, (event) => {
    state.lastEvent = Date.now();
    handle(JSON.parse(event.data));
  });
  on("hello", onHello);
  on("table", onTable);
  on("rows", onRows);
  on("tick", onTick);
  source.onerror = () => setLive(false);
}

// A stream that is silent is dead even if nobody has told the browser.
setInterval(() => {
  const silence = Date.now() - state.lastEvent;
  if (source.readyState !== EventSource.CONNECTING && silence > SILENCE_MS) {
    setLive(false);
    connect();
  }
}, RETRY_MS);

byId("filter").addEventListener("input", (event) => {
  setFilter(event.target.value);
  writeAddress();
});
function goTo(tab) {
  setTab(tab);
  writeAddress();
}

for (const button of document.querySelectorAll("[data-tab]")) {
  button.addEventListener("click", () => goTo(button.dataset.tab));
}
for (const id of ["effect", "routes-empty"]) {
  byId(id).addEventListener("click", (event) => {
    const { tabLink } = event.target.dataset;
    if (!tabLink) return;
    event.preventDefault();
    goTo(tabLink);
  });
}

// What the address says, at the start and when the browser goes back.
function followAddress() {
  readAddress();
  byId("filter").value = state.filter;
  setFilter(state.filter);
  setTab(state.tab);
}

addEventListener("popstate", followAddress);
followAddress();
byId("filter").focus();
connect();
