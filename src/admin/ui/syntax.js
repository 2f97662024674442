// SPDX-License-Identifier: Apache-2.0
// What the server's own parser says of a text: while it is being written, and before it is saved.

import { api } from "./base.js";

const PAUSE_MS = 200;

export async function checkText(text, signal) {
  const answer = await fetch(api("override/check"), {
    method: "POST", body: text, signal, headers: { "Content-Type": "text/plain; charset=utf-8" },
  });
  if (!answer.ok) throw new Error((await answer.text()).trim() || `status ${answer.status}`);
  return answer.json();
}

// Checks what was typed last, once the typing pauses.
export class Syntax {
  constructor(onResult) {
    this.onResult = onResult; // (result or null, error text)
    this.timer = 0;
    this.running = null;
  }

  later(text) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(text), PAUSE_MS);
  }

  async now(text) {
    clearTimeout(this.timer);
    if (this.running) this.running.abort();
    const running = new AbortController();
    this.running = running;
    try {
      const result = await checkText(text, running.signal);
      if (this.running === running) this.onResult(result, "");
    } catch (error) {
      if (this.running === running) this.onResult(null, error.message);
    }
  }
}
