// SPDX-License-Identifier: Apache-2.0
// Which routes a saved override has changed: the table before against the table after.

import { getJson } from "./base.js";
import { count, el, percent } from "./dom.js";

const WAIT_MS = 4000;
const POLL_MS = 150;
const SHOWN_MAX = 40;

export const readRoutes = async () => (await getJson("routes")) || [];

const keyOf = (row) => JSON.stringify([row.service, row.src, row.dst]);
const valueOf = (row) => JSON.stringify([row.weight.toFixed(4), row.opts, row.tags || []]);

// Rows by key; of equal ones (which a table may have) each has its own.
function index(rows) {
  const found = new Map();
  for (const row of rows) {
    let key = keyOf(row);
    while (found.has(key)) key += "+";
    found.set(key, row);
  }
  return found;
}

// [{ kind: "+" | "-" | "~", row, old }]
export function compareRoutes(before, after) {
  const old = index(before);
  const changes = [];
  for (const [key, row] of index(after)) {
    const was = old.get(key);
    old.delete(key);
    if (!was) changes.push({ kind: "+", row });
    else if (valueOf(was) !== valueOf(row)) changes.push({ kind: "~", row, old: was });
  }
  for (const row of old.values()) changes.push({ kind: "-", row });
  return changes;
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// The changes, once there are some; none after a while.
export async function awaitEffect(before) {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const changes = compareRoutes(before, await readRoutes());
    if (changes.length > 0 || Date.now() > end) return changes;
    await pause(POLL_MS);
  }
}

function share({ row, old }) {
  if (!old) return percent(row.weight);
  const [was, is] = [percent(old.weight), percent(row.weight)];
  return was === is ? is : `${was} → ${is}`;
}

export function effectView(changes) {
  const root = el("div", "effect");
  const of = (kind) => changes.filter((change) => change.kind === kind).length;
  root.append(el("p", "", changes.length === 0 ? "The routes are the same as before."
    : `Targets of routes: ${count(of("+"))} added, ${count(of("-"))} removed, ${count(of("~"))} changed.`));
  const table = el("div", "effect-rows");
  for (const change of changes.slice(0, SHOWN_MAX)) {
    const name = { "+": "added", "-": "removed", "~": "changed" }[change.kind];
    const line = el("div", `effect-row ${name}`);
    line.append(el("span", "kind", change.kind), el("span", "src", change.row.src),
      el("span", "dst", change.row.dst), el("span", "muted", change.row.service),
      el("span", "muted", share(change)));
    table.append(line);
  }
  if (changes.length > 0) root.append(table);
  if (changes.length > SHOWN_MAX) root.append(el("p", "muted", `and ${count(changes.length - SHOWN_MAX)} more`));
  return root;
}
