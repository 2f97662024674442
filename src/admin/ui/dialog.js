// SPDX-License-Identifier: Apache-2.0
// Questions that must be answered before anything else goes on.

import { byId, el } from "./dom.js";

// Shows title and content with buttons { value, text, kind } and resolves to the value of the one that was
// pressed; null for Escape. The first button has the focus.
export function ask(title, content, buttons) {
  const dialog = byId("dialog");
  const heading = el("h2", "", title);
  heading.id = "dialog-title";
  const row = el("div", "buttons");
  return new Promise((resolve) => {
    for (const { value, text, kind } of buttons) {
      const button = el("button", kind || "", text);
      button.type = "button";
      button.dataset.choice = value;
      button.addEventListener("click", () => dialog.close(value));
      row.append(button);
    }
    dialog.replaceChildren(heading, ...content, row);
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue || null), { once: true });
    dialog.showModal();
    row.firstChild.focus();
  });
}
