// SPDX-License-Identifier: Apache-2.0
// A difference of two texts as people read it.

import { count, el } from "./dom.js";
import { countChanges, diff, hunks } from "./diff.js";

const SHOWN_MAX = 2000;

function row(line) {
  if (line.skipped) {
    return el("div", "diff-skip", `${count(line.skipped)} unchanged ${line.skipped === 1 ? "line" : "lines"}`);
  }
  const name = { "+": "added", "-": "removed", " ": "same" }[line.kind];
  const root = el("div", `diff-line ${name}`);
  root.append(el("span", "diff-number", String(line.before || line.after)), el("span", "diff-kind", line.kind),
    el("span", "diff-text", line.text));
  return root;
}

// { root, added, removed }
export function diffView(oldText, newText, label) {
  const script = diff(oldText, newText);
  const root = el("div", "diff");
  root.tabIndex = 0; // scrolls by keyboard
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", label);
  const shown = hunks(script);
  root.append(...shown.slice(0, SHOWN_MAX).map(row));
  if (shown.length > SHOWN_MAX) root.append(el("div", "diff-skip", `${count(shown.length - SHOWN_MAX)} more lines differ`));
  return { root, ...countChanges(script) };
}

export function changesText({ added, removed }) {
  return `${count(added)} ${added === 1 ? "line" : "lines"} added, ${count(removed)} removed`;
}
