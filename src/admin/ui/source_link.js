// SPDX-License-Identifier: Apache-2.0
// The address of a route's source, by ui.routingtable.source.*.

const PATTERN = /[*?[\]{}\\]/; // a host with one of these names no single host
const WEB = /^https?:\/\//i;

// null when the source is no link: it has a pattern, or leads to something a browser does not speak.
export function sourceAddress(links, route) {
  if (!links || !links.enabled || PATTERN.test(route.host) || PATTERN.test(route.path)) return null;
  if (route.rows.some((row) => row.isSuspicious) || !route.rows.some((row) => WEB.test(row.dst))) return null;
  const scheme = links.scheme || location.protocol.replace(":", "");
  if (!/^https?$/.test(scheme)) return null;
  const host = route.host || (links.host || location.hostname) + (links.port ? `:${links.port}` : "");
  try {
    return new URL(`${scheme}://${host}${route.path || "/"}`).href;
  } catch {
    return null; // a host that no address can have
  }
}
