// SPDX-License-Identifier: Apache-2.0
// The text field of an override: numbers at its left, findings at its right, each beside its line.

import { byId, el, setClass } from "./dom.js";

const LINE_HEIGHT = 20; // of .editor-text, in style.css
const ROWS_MIN = 12;

export class Editor {
  constructor(onChange, onSave) {
    this.root = byId("editor");
    this.text = byId("editor-text");
    this.numbers = byId("editor-numbers");
    this.marks = byId("editor-marks");
    this.notes = byId("editor-notes");
    this.lineCount = 0;
    this.text.addEventListener("input", () => {
      this.drawNumbers();
      onChange();
    });
    this.text.addEventListener("scroll", () => this.follow(), { passive: true });
    this.root.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "s") {
        event.preventDefault();
        onSave();
      }
    });
  }

  get value() {
    return this.text.value;
  }

  set value(value) {
    this.text.value = value;
    this.text.scrollTop = 0;
    this.setFindings([]);
    this.drawNumbers();
  }

  set isReadOnly(isReadOnly) {
    this.text.readOnly = isReadOnly;
  }

  drawNumbers() {
    const count = this.text.value.split("\n").length;
    if (count === this.lineCount) return;
    this.lineCount = count;
    this.numbers.textContent = Array.from({ length: count }, (_, at) => at + 1).join("\n");
    this.text.style.height = `${Math.max(ROWS_MIN, count + 1) * LINE_HEIGHT + 20}px`;
    this.follow();
  }

  // The columns beside the text move with it.
  follow() {
    const shift = `translateY(${-this.text.scrollTop}px)`;
    for (const column of [this.numbers, this.marks, this.notes.firstElementChild]) column.style.transform = shift;
  }

  // [{ line, error }]
  setFindings(findings) {
    const at = (line) => `${(line - 1) * LINE_HEIGHT}px`;
    this.marks.replaceChildren(...findings.map(({ line }) => {
      const mark = el("i", "mark");
      mark.style.top = at(line);
      return mark;
    }));
    this.notes.firstElementChild.replaceChildren(...findings.map(({ line, error }) => {
      const note = el("button", "note", error);
      note.type = "button";
      note.title = `line ${line}: ${error}`;
      note.style.top = at(line);
      note.addEventListener("click", () => this.goTo(line));
      return note;
    }));
    setClass(this.root, findings.length > 0 ? "editor has-findings" : "editor");
    this.text.setAttribute("aria-invalid", findings.length > 0);
  }

  goTo(line) {
    const before = this.text.value.split("\n").slice(0, line - 1);
    const start = before.reduce((sum, text) => sum + text.length + 1, 0);
    const end = this.text.value.indexOf("\n", start);
    this.text.focus();
    this.text.setSelectionRange(start, end < 0 ? this.text.value.length : end);
    this.text.scrollTop = Math.max(0, (line - 4) * LINE_HEIGHT);
    this.text.scrollLeft = 0;
  }

  focus() {
    this.text.focus({ preventScroll: true });
    this.text.setSelectionRange(0, 0);
  }
}
