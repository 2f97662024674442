// SPDX-License-Identifier: Apache-2.0
// The overrides panel: the documents that there are, and the one that is open in the editor.

import { getJson } from "./base.js";
import { ask } from "./dialog.js";
import { documentAddress, documentName, parseDocumentName } from "./document_path.js";
import { byId, count, el, setClass, setText } from "./dom.js";
import { Editor } from "./editor.js";
import { awaitEffect, effectView, readRoutes } from "./effect.js";
import { drawHelp } from "./help.js";
import { readDocument, save } from "./save.js";
import { Syntax, checkText } from "./syntax.js";

const isLocalPage = () => /^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);

// Why there is nothing to edit, or nothing to save. Empty: both are possible.
function obstacle(settings) {
  if (settings.access === "ro") {
    return "This UI is read-only (ui.access=ro): overrides can be neither seen nor changed here. Start with "
      + "ui.access=rw to edit them, or write them to the registry's KV store.";
  }
  if (!settings.overrides) {
    return `The ${settings.backend} registry keeps no overrides; only Consul's KV store does. Change the routes `
      + "where they come from: registry.static.routes, or the file behind registry.file.path.";
  }
  return "";
}

export class Overrides {
  // onOpen(path): another document is open.
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.settings = null;
    this.paths = [];
    this.path = null;  // of the open document
    this.saved = null; // { value, version } as it was read
    this.check = null; // of the text as it is
    this.isSaving = false;
    this.editor = new Editor(() => this.onChange(), () => this.save());
    this.syntax = new Syntax((result, error) => this.onCheck(result, error));
    byId("save").addEventListener("click", () => this.save());
    byId("revert").addEventListener("click", () => this.revert());
    byId("new-document").addEventListener("submit", (event) => this.create(event));
    byId("help-toggle").addEventListener("click", () => this.toggleHelp());
    addEventListener("beforeunload", (event) => {
      if (this.isChanged()) event.preventDefault();
    });
    drawHelp(byId("help"));
  }

  // The panel is shown, with this document.
  async open(path) {
    if (!this.settings) {
      try {
        this.settings = await getJson("ui");
      } catch (error) {
        this.tell(`The settings cannot be read: ${error.message}`, "bad");
        return;
      }
    }
    const reason = obstacle(this.settings);
    byId("overrides").hidden = reason !== "";
    setText(byId("overrides-obstacle"), reason);
    byId("overrides-obstacle").hidden = reason === "";
    if (reason) return;
    if (this.settings.access === "local" && !isLocalPage()) {
      this.tell("ui.access is not set, so only a browser on tagway's own machine can save.", "warn");
    }
    await this.list();
    await this.choose(path);
  }

  async list() {
    try {
      this.paths = (await getJson("paths")) || [];
    } catch (error) {
      this.tell(`The documents cannot be listed: ${error.message}`, "bad");
    }
    this.drawList();
  }

  drawList() {
    const known = new Set(this.paths);
    const shown = ["", ...this.paths.filter((path) => path !== "")];
    if (this.path !== null && !known.has(this.path) && this.path !== "") shown.push(this.path);
    byId("documents").replaceChildren(...shown.map((path) => {
      const item = el("li");
      const link = el("a", "", documentName(path));
      link.href = documentAddress(path);
      link.title = documentName(path);
      if (path === this.path) link.setAttribute("aria-current", "page");
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        this.choose(path);
      });
      item.append(link);
      if (!known.has(path)) item.append(el("span", "muted", path === "" ? "empty" : "new"));
      return item;
    }));
  }

  isChanged() {
    return this.saved !== null && this.editor.value !== this.saved.value;
  }

  async choose(path) {
    const mayLeave = path === this.path || !this.isChanged() || await this.askToDiscard() === "discard";
    if (mayLeave && path !== this.path) await this.load(path);
    if (this.path !== null) this.onOpen(this.path);
  }

  askToDiscard() {
    return ask("Discard your changes?", [el("p", "", `What you changed in ${documentName(this.path)} is not saved.`)], [
      { value: "keep", text: "Keep editing", kind: "primary" },
      { value: "discard", text: "Discard", kind: "danger" },
    ]);
  }

  async load(path) {
    try {
      this.show(path, await readDocument(path));
      this.tell("", "");
    } catch (error) {
      this.tell(`${documentName(path)} cannot be read: ${error.message}`, "bad");
    }
  }

  show(path, document) {
    this.path = path;
    this.saved = document;
    this.editor.value = document.value;
    byId("effect").replaceChildren();
    setText(byId("document-name"), documentName(path));
    this.drawList();
    this.drawState();
    this.syntax.now(document.value);
  }

  async create(event) {
    event.preventDefault();
    const field = byId("new-path");
    const path = parseDocumentName(field.value);
    const problem = byId("new-problem");
    problem.hidden = path !== null;
    field.setAttribute("aria-invalid", path === null);
    if (path === null) return;
    await this.choose(path);
    field.value = "";
    if (this.path === path) this.editor.focus();
  }

  onChange() {
    this.check = null;
    this.drawState();
    this.syntax.later(this.editor.value);
  }

  onCheck(result, error) {
    this.check = result;
    const status = byId("syntax");
    if (!result) {
      setText(status, `not checked: ${error}`);
      setClass(status, "syntax warn");
      return;
    }
    this.editor.setFindings(result.errors);
    const commands = `${count(result.commands)} ${result.commands === 1 ? "command" : "commands"}`;
    setText(status, result.wrong === 0 ? `${commands}, no mistakes`
      : `${commands}, ${count(result.wrong)} wrong ${result.wrong === 1 ? "line" : "lines"}`);
    setClass(status, result.wrong === 0 ? "syntax good" : "syntax bad");
    const list = byId("findings");
    list.hidden = result.wrong === 0;
    list.replaceChildren(...result.errors.map(({ line, error: text }) => {
      const item = el("li");
      const button = el("button", "", `line ${line}`);
      button.type = "button";
      button.addEventListener("click", () => this.editor.goTo(line));
      item.append(button, el("span", "", text));
      return item;
    }));
  }

  drawState() {
    const isChanged = this.isChanged();
    byId("save").disabled = !isChanged || this.isSaving;
    byId("revert").disabled = !isChanged || this.isSaving;
    byId("unsaved").hidden = !isChanged;
    setText(byId("document-version"), this.saved ? `version ${this.saved.version}` : "");
  }

  async revert() {
    if (!this.isChanged() || await this.askToDiscard() !== "discard") return;
    await this.load(this.path);
    this.editor.focus();
  }

  async save() {
    if (!this.isChanged() || this.isSaving) return;
    this.isSaving = true;
    this.drawState();
    this.tell("", "");
    try {
      await this.saveText(this.editor.value);
    } catch (error) {
      this.tell(`Not saved: ${error.message}`, "bad");
    }
    this.isSaving = false;
    this.drawState();
  }

  async saveText(text) {
    const check = await checkText(text);
    const before = await readRoutes();
    const result = await save(this.path, this.saved, text, check);
    if (result.kind === "failed") this.tell(result.text, "bad");
    if (result.kind === "theirs") {
      this.show(this.path, result.document);
      this.tell("Your changes are dropped; this is the document as somebody else saved it.", "warn");
    }
    if (result.kind !== "saved") return;
    this.show(this.path, result.document);
    this.tell(`Saved as version ${result.document.version}.`, "good");
    this.list();
    await this.showEffect(before);
  }

  async showEffect(before) {
    const box = byId("effect");
    const wait = el("p", "muted", "Waiting for the routes to follow …");
    box.replaceChildren(wait);
    const changes = await awaitEffect(before);
    const lost = ((await getJson("problems")) || []).filter((problem) => problem.source === "manual");
    box.replaceChildren(effectView(changes));
    const links = el("p", "links");
    const routes = el("a", "", "See the routes");
    routes.href = "#";
    routes.dataset.tabLink = "routes";
    links.append(routes);
    if (lost.length > 0) {
      const problems = el("a", "bad", `${count(lost.length)} override ${lost.length === 1 ? "line is" : "lines are"} not in effect`);
      problems.href = "#";
      problems.dataset.tabLink = "problems";
      links.append(problems);
    }
    box.append(links);
  }

  toggleHelp() {
    const help = byId("help");
    help.hidden = !help.hidden;
    byId("help-toggle").setAttribute("aria-expanded", !help.hidden);
  }

  tell(text, kind) {
    const box = byId("overrides-message");
    setText(box, text);
    setClass(box, `notice ${kind}`);
    box.hidden = text === "";
  }
}
