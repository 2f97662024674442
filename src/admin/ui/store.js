// SPDX-License-Identifier: Apache-2.0
// The rows as the server tells them: targets by id, grouped by route, filtered and sorted for display.

import { History } from "./dom.js";

// Positions in a row's figures: see rows_write_figures.
export const F = {
  RATE: 1, ERROR_RATE: 2, P50: 3, P99: 4, REQUESTS: 5, ERRORS: 6, FAILURES: 7, IN_FLIGHT: 8,
  EJECTED: 9, BYTES_IN: 10, BYTES_OUT: 11, EJECTED_S: 12, EJECT_CAUSE: 13,
};
const NO_FIGURES = new Array(14).fill(0);

export function words(filter) {
  return filter.toLowerCase().split(/\s+/).filter((word) => word !== "");
}

export const matches = (text, wanted) => wanted.every((word) => text.includes(word));

const compareText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

// What a route shows of its targets, per sort key.
const SORTS = {
  source: (a, b) => compareText(a.host, b.host) || compareText(b.path, a.path),
  service: (a, b) => compareText(a.rows[0].service, b.rows[0].service),
  health: (a, b) => b.bad - a.bad,
  rate: (a, b) => b.rate - a.rate,
  errors: (a, b) => b.errorShare - a.errorShare || b.errors - a.errors,
  p50: (a, b) => b.p50 - a.p50,
  p99: (a, b) => b.p99 - a.p99,
  requests: (a, b) => b.requests - a.requests,
  inflight: (a, b) => b.inFlight - a.inFlight,
  weight: (a, b) => b.rows.length - a.rows.length,
};

// The same within a route.
const FIGURE_OF_SORT = {
  rate: F.RATE, errors: F.ERROR_RATE, p50: F.P50, p99: F.P99, requests: F.REQUESTS, inflight: F.IN_FLIGHT,
};

// Of ten thousands of rows most are never searched: the text is made when it is asked for.
function searchText(row) {
  row.search ||= [row.service, row.src, row.dst, row.opts, row.health, row.note, row.instance,
    ...(row.tags || [])].join(" ").toLowerCase();
  return row.search;
}

export const isUp = (row) => row.health === "up" || row.health === "passing";

export class Store {
  constructor() {
    this.rows = new Map();
    this.routes = new Map();
    this.shown = [];
    this.shownTargets = 0;
    this.filter = [];
    this.sort = "source";
  }

  reset(message) {
    // Histories survive a reconnection as far as the ids do.
    const before = this.rows;
    this.rows = new Map();
    for (const row of message.rows) this.add(row, before.get(row.id));
    this.setFigures(message.figures);
  }

  add(row, before) {
    row.src = row.host + row.path;
    row.isSuspicious = /^https?:(\/|$)/.test(row.src);
    row.search = ""; // see searchText
    row.figures = before ? before.figures : NO_FIGURES;
    row.history = before ? before.history : null;
    this.rows.set(row.id, row);
  }

  change(message) {
    for (const id of message.removed) this.rows.delete(id);
    for (const row of message.rows) this.add(row);
  }

  setFigures(list) {
    for (const figures of list) {
      const row = this.rows.get(figures[0]);
      if (!row) continue;
      row.figures = figures;
      row.history ||= new History();
    }
  }

  // One second has passed: every row that ever had traffic gets a point.
  tick() {
    for (const row of this.rows.values()) {
      if (row.history) row.history.push(row.figures[F.RATE]);
    }
  }

  // Groups, filters and sorts anew.
  arrange() {
    const routes = new Map();
    let targets = 0;
    for (const row of this.rows.values()) {
      if (this.filter.length > 0 && !matches(searchText(row), this.filter)) continue;
      const key = `${row.host}\n${row.path}`;
      let route = routes.get(key);
      if (!route) {
        route = { key, host: row.host, path: row.path, rows: [] };
        routes.set(key, route);
      }
      route.rows.push(row);
      targets += 1;
    }
    for (const route of routes.values()) {
      const figure = FIGURE_OF_SORT[this.sort];
      route.rows.sort((a, b) => isUp(b) - isUp(a)
        || (figure ? b.figures[figure] - a.figures[figure] : 0)
        || compareText(a.service, b.service) || a.id - b.id);
      summarise(route);
    }
    const compare = SORTS[this.sort] || SORTS.source;
    this.routes = routes;
    this.shownTargets = targets;
    this.shown = [...routes.values()].sort((a, b) => compare(a, b) || SORTS.source(a, b));
  }
}

export function summarise(route) {
  route.rate = 0;
  route.errors = 0;
  route.requests = 0;
  route.inFlight = 0;
  route.p50 = 0;
  route.p99 = 0;
  route.bad = 0;
  route.up = 0;
  for (const row of route.rows) {
    const f = row.figures;
    route.rate += f[F.RATE];
    route.errors += f[F.ERROR_RATE];
    route.requests += f[F.REQUESTS];
    route.inFlight += f[F.IN_FLIGHT];
    route.p50 = Math.max(route.p50, f[F.P50]);
    route.p99 = Math.max(route.p99, f[F.P99]);
    route.up += isUp(row) && !f[F.EJECTED];
    route.bad += !isUp(row) || f[F.EJECTED] > 0 || row.isSuspicious;
  }
  route.errorShare = route.rate > 0 ? Math.min(1, route.errors / route.rate) : 0;
}
