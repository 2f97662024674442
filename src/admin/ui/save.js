// SPDX-License-Identifier: Apache-2.0
// Saving an override: the changes are shown and confirmed, then written over the very version that was
// read. If somebody else was faster, theirs is shown against ours, and we are asked.

import { api, getJson } from "./base.js";
import { ask } from "./dialog.js";
import { changesText, diffView } from "./diff_view.js";
import { documentName } from "./document_path.js";
import { el } from "./dom.js";

export const readDocument = (path) => getJson(`override?path=${encodeURIComponent(path)}`);

// { status, text }
async function write(path, value, version) {
  try {
    const answer = await fetch(api(`override?path=${encodeURIComponent(path)}`), {
      method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ value, version }),
    });
    return { status: answer.status, text: (await answer.text()).trim() };
  } catch (error) {
    return { status: 0, text: error.message };
  }
}

function findingsNote(check) {
  if (!check || check.wrong === 0) return [];
  const note = el("div", "notice bad");
  note.append(el("strong", "", check.wrong === 1 ? "One line is wrong and will have no effect:"
    : `${check.wrong} lines are wrong and will have no effect:`));
  const list = el("ul");
  for (const { line, error } of check.errors.slice(0, 8)) list.append(el("li", "", `line ${line}: ${error}`));
  if (check.wrong > 8) list.append(el("li", "", `and ${check.wrong - 8} more`));
  note.append(list);
  return [note];
}

async function confirm(path, saved, text, check) {
  const view = diffView(saved.value, text, "Changes");
  const keep = { value: "cancel", text: "Keep editing" };
  const buttons = check && check.wrong > 0
    ? [keep, { value: "save", text: "Save all the same", kind: "danger" }]
    : [{ value: "save", text: "Save", kind: "primary" }, keep];
  return ask(`Save changes to ${documentName(path)}?`,
    [...findingsNote(check), el("p", "muted", changesText(view)), view.root], buttons);
}

async function askWhose(path, theirs, text) {
  const view = diffView(theirs.value, text, "Theirs against yours");
  return ask("Somebody else has saved this document",
    [el("p", "", `${documentName(path)} is no longer as you read it. Lines with − are theirs (version `
      + `${theirs.version}), lines with + are yours.`), el("p", "muted", changesText(view)), view.root], [
      { value: "edit", text: "Keep editing" },
      { value: "theirs", text: "Take theirs, drop mine" },
      { value: "mine", text: "Overwrite with mine", kind: "danger" },
    ]);
}

// Saves `text` over `saved` ({ value, version }). Resolves to what came of it: { kind: "saved" | "theirs" |
// "kept" | "failed", document, text }.
export async function save(path, saved, text, check) {
  if (await confirm(path, saved, text, check) !== "save") return { kind: "kept" };
  for (let { version } = saved; ;) {
    const { status, text: answer } = await write(path, text, version);
    if (status === 200) return { kind: "saved", document: await readDocument(path) };
    if (status !== 409) {
      return { kind: "failed", text: status ? `Not saved (${status}): ${answer}` : `Not saved: ${answer}` };
    }
    const theirs = await readDocument(path);
    if (theirs.value === text.trim()) return { kind: "saved", document: theirs };
    const choice = await askWhose(path, theirs, text);
    if (choice === "theirs") return { kind: "theirs", document: theirs };
    if (choice !== "mine") return { kind: "kept" };
    version = theirs.version;
  }
}
