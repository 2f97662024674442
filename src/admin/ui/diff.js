// SPDX-License-Identifier: Apache-2.0
// What lines differ between two texts: Myers' greedy algorithm on what is left between the common
// beginning and end. Pure.

const EDITS_MAX = 1500; // beyond, everything in between counts as replaced
const CONTEXT = 3;

export const lines = (text) => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));

// The edit script of a[from..] and b[from..] up to the given ends, as [kind, line] with kind " ", "-", "+".
function myers(a, b) {
  const max = Math.min(a.length + b.length, EDITS_MAX);
  const frontier = new Int32Array(2 * max + 2);
  const trail = [];
  for (let d = 0; d <= max; d += 1) {
    trail.push(frontier.slice(max - d, max + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const isDown = k === -d || (k !== d && frontier[max + k - 1] < frontier[max + k + 1]);
      let x = isDown ? frontier[max + k + 1] : frontier[max + k - 1] + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      frontier[max + k] = x;
      if (x >= a.length && x - k >= b.length) return walkBack(a, b, trail, d);
    }
  }
  return null;
}

function walkBack(a, b, trail, edits) {
  const script = [];
  let x = a.length;
  let y = b.length;
  for (let d = edits; d > 0; d -= 1) {
    const before = (k) => trail[d][k + d]; // frontier of d - 1
    const k = x - y;
    const isDown = k === -d || (k !== d && before(k - 1) < before(k + 1));
    const fromK = isDown ? k + 1 : k - 1;
    const fromX = before(fromK);
    const fromY = fromX - fromK;
    while (x > fromX && y > fromY && x > 0 && y > 0 && a[x - 1] === b[y - 1]) {
      script.push([" ", a[x - 1]]);
      x -= 1;
      y -= 1;
    }
    if (isDown) script.push(["+", b[y - 1]]);
    else script.push(["-", a[x - 1]]);
    x = fromX;
    y = fromY;
  }
  while (x > 0) {
    script.push([" ", a[x - 1]]);
    x -= 1;
  }
  return script.reverse();
}

// All lines of both texts, in order: { kind: " " | "-" | "+", text, before, after } with line numbers.
export function diff(oldText, newText) {
  const a = lines(oldText);
  const b = lines(newText);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head
    && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const oldPart = a.slice(head, a.length - tail);
  const newPart = b.slice(head, b.length - tail);
  const part = myers(oldPart, newPart)
    || [...oldPart.map((text) => ["-", text]), ...newPart.map((text) => ["+", text])];
  let before = 0;
  let after = 0;
  const same = (text) => [" ", text];
  const script = [...a.slice(0, head).map(same), ...part, ...a.slice(a.length - tail).map(same)];
  return script.map(([kind, text]) => {
    if (kind !== "+") before += 1;
    if (kind !== "-") after += 1;
    return { kind, text, before: kind === "+" ? 0 : before, after: kind === "-" ? 0 : after };
  });
}

export function countChanges(script) {
  const of = (kind) => script.filter((line) => line.kind === kind).length;
  return { added: of("+"), removed: of("-") };
}

// The changes with some lines around them; { skipped: n } stands for the n lines between.
export function hunks(script) {
  const isNear = new Uint8Array(script.length);
  script.forEach((line, at) => {
    if (line.kind === " ") return;
    isNear.fill(1, Math.max(0, at - CONTEXT), at + CONTEXT + 1);
  });
  const shown = [];
  for (let at = 0; at < script.length; at += 1) {
    if (isNear[at]) shown.push(script[at]);
    else if (shown.length > 0 && shown.at(-1).skipped) shown.at(-1).skipped += 1;
    else shown.push({ skipped: 1 });
  }
  return shown;
}
