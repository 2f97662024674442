// SPDX-License-Identifier: Apache-2.0
// The table of routes. Only the rows in the window exist as elements: the list may have ten thousands.

import {
  byId, bytes, count, drawSpark, el, ms, percent, rate, setClass, setText, setTitle, short, spark,
} from "./dom.js";
import { sourceAddress } from "./source_link.js";
import { F, isUp, summarise } from "./store.js";

const ROUTE_HEIGHT = 38;
const TARGET_HEIGHT = 46;
const MARGIN = 400; // pixels drawn beyond the window

const COLUMNS = [
  { key: "source", text: "Source and target", name: "main" },
  { key: "service", text: "Service", name: "service" },
  { key: "health", text: "Health", name: "health" },
  { key: "weight", text: "Weight", name: "weight number" },
  { key: "rate", text: "Requests/s", name: "rate number" },
  { key: "errors", text: "Errors", name: "errors number" },
  { key: "p50", text: "p50", name: "p50 number" },
  { key: "p99", text: "p99", name: "p99 number" },
  { key: "requests", text: "Requests", name: "total number" },
  { key: "inflight", text: "In flight", name: "flight number" },
];

function cell(row, name) {
  const node = el("div", `cell ${name}`);
  node.setAttribute("role", "cell");
  row.append(node);
  return node;
}

function newRow(kind) {
  const root = el("div", `row ${kind}`);
  root.setAttribute("role", "row");
  const cells = {};
  for (const column of COLUMNS) cells[column.key] = cell(root, column.name);
  return { root, cells, top: -1 };
}

// By fabio's rules its text is host and path; without a link it stands as it is.
function sourceText(route, links) {
  const address = sourceAddress(links, route);
  const root = el(address ? "a" : "span", "src");
  if (address) {
    root.href = address;
    root.rel = "noopener noreferrer";
    if (links.newtab) root.target = "_blank";
  }
  root.append(el("span", route.host ? "host" : "host any", route.host || "any host"), el("span", "path", route.path));
  return root;
}

function newRouteRow(route, links) {
  const row = newRow("route");
  const { source } = row.cells;
  source.append(sourceText(route, links));
  setTitle(source, route.host + route.path);
  row.warning = el("span", "warn", "⚠ matches no request: begins with a scheme");
  row.warning.title = "The source begins with http: or https:. It is matched as a host name and will "
    + "not match a request; write urlprefix-host/path.";
  row.warning.hidden = true;
  source.append(row.warning);
  return row;
}

// Only http and https become links: a destination comes from whoever registered the service.
function destination(row) {
  if (!/^https?:\/\//i.test(row.dst)) return el("span", "dst", row.dst);
  const link = el("a", "dst", row.dst);
  link.href = row.dst;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return link;
}

function newTargetRow(target) {
  const row = newRow("target");
  const detail = [target.note, target.instance, target.opts, (target.tags || []).join(", ")];
  const sub = el("div", "sub");
  sub.append(el("span", "own-service", target.service), detail.filter((text) => text).join("  ·  "));
  sub.title = detail.filter((text) => text).join("  ·  ");
  row.cells.source.append(destination(target), sub);
  setText(row.cells.service, target.service);
  setTitle(row.cells.service, target.service);
  row.state = el("span", "state");
  row.cells.health.append(row.state);
  row.spark = spark(72, 20);
  row.rate = el("span", "value");
  row.cells.rate.append(row.spark, row.rate);
  return row;
}

function drawRoute(row, route) {
  summarise(route);
  const { cells } = row;
  const isSuspicious = route.rows.some((target) => target.isSuspicious);
  setClass(row.root, `row route${isSuspicious ? " suspicious" : ""}`);
  row.warning.hidden = !isSuspicious;
  const services = new Set(route.rows.map((target) => target.service));
  setClass(cells.source, `cell main${services.size > 1 ? "" : " wide"}`);
  setText(cells.service, services.size > 1 ? `${services.size} services` : "");
  setText(cells.health, `${route.up}/${route.rows.length} up`);
  setClass(cells.health, `cell health ${route.up === 0 ? "bad" : route.bad ? "warn" : "muted"}`);
  setText(cells.rate, rate(route.rate));
  setText(cells.errors, route.rate > 0 ? percent(route.errorShare) : "");
  setClass(cells.errors, `cell errors number${route.errors > 0 ? " bad" : " muted"}`);
  setText(cells.p50, "");
  setText(cells.p99, "");
  setText(cells.requests, short(route.requests));
  setText(cells.inflight, count(route.inFlight));
}

// By enum eject_cause of upstream/eject.h.
const EJECT_CAUSES = ["", "it cannot be connected to", "it fails in the TLS handshake",
  "it does not answer in time", "it closes or garbles its responses",
  "it answers with 502, 503 or 504"];

function stateOf(target) {
  if (!isUp(target)) return [target.health, "down"];
  if (target.figures[F.EJECTED] > 0) return [`ejected ${target.figures[F.EJECTED_S]} s`, "ejected"];
  return ["up", "up"];
}

function drawTarget(row, target) {
  const f = target.figures;
  const { cells } = row;
  const [text, state] = stateOf(target);
  setText(row.state, text);
  setClass(row.state, `state ${state}`);
  setTitle(cells.health, state === "ejected"
    ? `held out by ${f[F.EJECTED]} worker(s): ${EJECT_CAUSES[f[F.EJECT_CAUSE]] || "it fails"}`
    : target.note);
  setClass(row.root, `row target ${state}${target.isSuspicious ? " suspicious" : ""}`);
  setText(cells.weight, isUp(target) ? percent(target.weight) : "–");
  setText(row.rate, f[F.REQUESTS] ? rate(f[F.RATE]) : "–");
  drawSpark(row.spark, target.history);
  const share = f[F.RATE] > 0 ? Math.min(1, f[F.ERROR_RATE] / f[F.RATE]) : 0;
  setText(cells.errors, f[F.RATE] > 0 ? percent(share) : "–");
  setClass(cells.errors, `cell errors number${f[F.ERROR_RATE] > 0 ? " bad" : ""}`);
  setTitle(cells.errors, `${count(f[F.ERRORS])} responses 5xx and ${count(f[F.FAILURES])} failed `
    + "attempts so far");
  setText(cells.p50, ms(f[F.P50]));
  setText(cells.p99, ms(f[F.P99]));
  setText(cells.requests, short(f[F.REQUESTS]));
  setTitle(cells.requests, `${count(f[F.REQUESTS])} requests, ${bytes(f[F.BYTES_OUT])} received, `
    + `${bytes(f[F.BYTES_IN])} sent`);
  setText(cells.inflight, count(f[F.IN_FLIGHT]));
}

export class Table {
  constructor(store, onSort) {
    this.store = store;
    this.box = byId("rows");
    this.items = [];
    this.drawn = new Map(); // key -> row
    this.heads = COLUMNS.map((column) => this.newHead(column, onSort));
    this.links = null; // ui.routingtable.source.*
    const later = () => this.drawSoon();
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", later);
  }

  newHead(column, onSort) {
    const node = cell(byId("routes-head"), column.name);
    node.setAttribute("role", "columnheader");
    const button = el("button", "", column.text);
    button.type = "button";
    button.addEventListener("click", () => onSort(column.key));
    node.append(button);
    return { key: column.key, node };
  }

  // Rows drawn before have no links, or other ones.
  setLinks(links) {
    this.links = links;
    for (const row of this.drawn.values()) row.root.remove();
    this.drawn.clear();
  }

  // The order has changed.
  layout() {
    this.items = [];
    let top = 0;
    for (const route of this.store.shown) {
      this.items.push({ key: `r${route.key}`, top, route });
      top += ROUTE_HEIGHT;
      for (const target of route.rows) {
        this.items.push({ key: `t${target.id}`, top, target });
        top += TARGET_HEIGHT;
      }
    }
    this.box.style.height = `${top}px`;
    for (const head of this.heads) {
      if (head.key === this.store.sort) head.node.setAttribute("aria-sort", "descending");
      else head.node.removeAttribute("aria-sort");
    }
    this.draw();
  }

  drawSoon() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.draw();
    });
  }

  firstAt(y) {
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.items[middle].top + TARGET_HEIGHT < y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  draw() {
    if (this.box.offsetParent === null) return; // another tab is open
    const from = -this.box.getBoundingClientRect().top;
    const until = from + innerHeight + MARGIN;
    const wanted = new Map();
    for (let i = this.firstAt(from - MARGIN); i < this.items.length; i += 1) {
      if (this.items[i].top > until) break;
      wanted.set(this.items[i].key, this.items[i]);
    }
    for (const [key, row] of this.drawn) {
      if (wanted.has(key)) continue;
      row.root.remove();
      this.drawn.delete(key);
    }
    for (const [key, item] of wanted) {
      let row = this.drawn.get(key);
      if (!row) {
        row = item.route ? newRouteRow(item.route, this.links) : newTargetRow(item.target);
        this.drawn.set(key, row);
        this.box.append(row.root);
      }
      if (row.top !== item.top) {
        row.top = item.top;
        row.root.style.transform = `translateY(${item.top}px)`;
      }
      if (item.route) drawRoute(row, item.route);
      else drawTarget(row, item.target);
    }
  }
}
