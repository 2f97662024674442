// SPDX-License-Identifier: Apache-2.0
// How override documents are named, and the addresses of their pages. The path of a document is what
// follows registry.consul.kvpath in its key: "" for the key itself, "/a" below it.

import { base } from "./base.js";

const page = `${base}manual`;
// What can stand in an address as it is, in segments that are not empty and do not begin with a dot.
const PLAIN = /^(\/[\w~!$'()*,;:@=-][\w.~!$'()*,;:@=-]*)*$/;

export const documentName = (path) => (path === "" ? "default" : path);

export const documentAddress = (path) => (PLAIN.test(path)
  ? page + path : `${page}?path=${encodeURIComponent(path)}`);

export const isDocumentAddress = () => location.pathname === page || location.pathname.startsWith(`${page}/`);

// fabio takes what follows /manual as it is written, query and all.
export function readDocumentAddress() {
  const named = new URLSearchParams(location.search).get("path");
  return named !== null ? named : location.pathname.slice(page.length) + location.search;
}

// A name that somebody has typed, or null when it cannot be one.
export function parseDocumentName(text) {
  const name = text.trim().replace(/\/+$/, "");
  const path = name === "" || name.startsWith("/") ? name : `/${name}`;
  return path !== "" && PLAIN.test(path) ? path : null;
}
