// SPDX-License-Identifier: Apache-2.0
// Where the server's addresses begin: "/", or with ui.path something like "/lb/".

export const base = new URL("..", import.meta.url).pathname;

export const api = (path) => `${base}api/${path}`;

export async function getJson(path) {
  const answer = await fetch(api(path), { cache: "no-store" });
  if (!answer.ok) throw new Error((await answer.text()).trim() || `${path}: ${answer.status}`);
  return answer.json();
}
