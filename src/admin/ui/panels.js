// SPDX-License-Identifier: Apache-2.0
// The problems list and the registry's state.

import { getJson } from "./base.js";
import { age, byId, count, el } from "./dom.js";
import { matches } from "./store.js";

// ---- problems

function problemCard(problem) {
  const card = el("article", `problem ${problem.lost ? "lost" : "kept"}`);
  const head = el("div", "problem-head");
  head.append(el("span", "badge", problem.lost ? "not in effect" : "warning"));
  head.append(el("strong", "", problem.service || problem.source));
  if (problem.instance) head.append(el("span", "muted", problem.instance));
  const since = el("time", "muted since", `for ${age(Date.now() - Date.parse(problem.since))}`);
  since.dateTime = problem.since;
  since.title = problem.since;
  head.append(since);
  card.append(head);
  if (problem.text) card.append(el("code", "", problem.text));
  card.append(el("p", "", problem.reason));
  return card;
}

const CARDS_MAX = 200; // drawn at once; the filter finds the others

export class Problems {
  constructor(onDrawn) {
    this.onDrawn = onDrawn;
    this.box = byId("problems");
    this.list = [];
    this.filter = [];
    this.version = -1;
    this.shown = []; // those that match the filter
  }

  async load(version) {
    if (version === this.version) return;
    this.version = version;
    try {
      this.list = await getJson("problems");
      this.draw();
    } catch {
      this.version = -1; // the next tick asks again
    }
  }

  draw() {
    this.shown = this.list.filter((problem) => matches(
      `${problem.source} ${problem.service} ${problem.instance} ${problem.text} ${problem.reason}`
        .toLowerCase(), this.filter));
    this.box.replaceChildren(...this.shown.slice(0, CARDS_MAX).map(problemCard));
    const hidden = this.shown.length - CARDS_MAX;
    if (this.shown.length === 0) {
      this.box.append(el("p", "empty", this.list.length === 0
        ? "No problems: every tag and every line is in effect." : "No problem matches the filter."));
    } else if (hidden > 0) {
      this.box.append(el("p", "empty", `${count(hidden)} more: the filter finds them.`));
    }
    this.onDrawn();
  }
}

// ---- registry

const isPlain = (value) => value === null || typeof value !== "object";

const label = (key) => key.replace(/^is_/, "").replace(/_ms(_ago)?$/, "$1").replaceAll("_", " ");

function plain(key, value) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return /_ms(_ago)?$/.test(key) ? age(value) : String(value);
}

function table(list) {
  const keys = [...new Set(list.flatMap((item) => Object.keys(item)))];
  const root = el("table");
  const head = el("tr");
  for (const key of keys) head.append(el("th", "", label(key)));
  const body = el("tbody");
  for (const item of list) {
    const row = el("tr");
    for (const key of keys) {
      const value = item[key] ?? null;
      row.append(el("td", "", isPlain(value) ? plain(key, value) : JSON.stringify(value)));
    }
    body.append(row);
  }
  const top = el("thead");
  top.append(head);
  root.append(top, body);
  return root;
}

function section(name, value, depth) {
  const box = el("section", "part");
  if (name) box.append(el(depth > 1 ? "h4" : "h3", "", label(name)));
  if (Array.isArray(value)) {
    if (value.length > 0 && value.every((item) => !isPlain(item) && !Array.isArray(item))) box.append(table(value));
    else box.append(el("p", "", value.length === 0 ? "none" : value.map(String).join(", ")));
    return box;
  }
  const facts = el("dl");
  for (const [key, item] of Object.entries(value)) {
    if (!isPlain(item)) continue;
    const fact = el("div");
    fact.append(el("dt", "", label(key)), el("dd", "", plain(key, item)));
    facts.append(fact);
  }
  if (facts.childElementCount > 0) box.append(facts);
  for (const [key, item] of Object.entries(value)) {
    if (!isPlain(item)) box.append(section(key, item, depth + 1));
  }
  return box;
}

export class Registry {
  constructor() {
    this.box = byId("registry");
    this.isLoading = false;
  }

  async load() {
    if (this.isLoading) return;
    this.isLoading = true;
    try {
      const state = await getJson("consul");
      this.box.replaceChildren(state === null
        ? el("p", "empty", "The registry backend has no state to show.") : section("", state, 0));
    } catch {
      // The banner says that the connection is gone.
    }
    this.isLoading = false;
  }
}
