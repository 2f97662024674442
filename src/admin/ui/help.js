// SPDX-License-Identifier: Apache-2.0
// The command reference beside the editor.

import { el } from "./dom.js";

const COMMANDS = [
  ["route add <service> <source> <destination> [weight <w>] [tags \"<t1>,<t2>\"] [opts \"<k1>=<v1> <k2>=<v2>\"]",
    "Adds a target. The source is host/path, *.host/path or /path; the destination a URL. A weight between 0 and 1 "
    + "is the target's fixed share; without one it shares what the fixed weights leave."],
  ["route del <service> [<source> [<destination>]]", "Removes a service's targets: all, those of a source, or one."],
  ["route del <service> tags \"<t1>,<t2>\"", "Removes the service's targets that have all these tags."],
  ["route del tags \"<t1>,<t2>\"", "The same for every service."],
  ["route weight <service> <source> weight <w> [tags \"<t1>,<t2>\"]",
    "Gives these targets together the share w of the source's traffic; 0 makes them share again what is left."],
  ["route weight <source> weight <w> tags \"<t1>,<t2>\"", "The same for targets of any service."],
  ["# text, // text", "A comment. Empty lines say nothing."],
];

const OPTIONS = [
  ["strip=/path", "removes this prefix from the path"],
  ["prepend=/path", "puts this prefix before the path"],
  ["tlsskipverify=true", "does not check the certificate of an https destination"],
  ["host=dst", "sends the destination's host name, or the one given"],
  ["redirect=301", "answers with a redirect to the destination, in which $path stands for the path"],
  ["allow=ip:10.0.0.0/8,ip:fe80::/10", "lets only these addresses pass; deny= the others"],
  ["auth=name", "asks for a user of that scheme"],
  ["unhealthy=failopen", "uses unhealthy instances when none is healthy; 503 and drop do not"],
];

function rows(list) {
  const root = el("dl");
  for (const [text, meaning] of list) {
    const entry = el("div");
    const term = el("dt");
    term.append(el("code", "", text));
    entry.append(term, el("dd", "", meaning));
    root.append(entry);
  }
  return root;
}

export function drawHelp(root) {
  root.replaceChildren(el("h3", "", "Commands"),
    el("p", "muted", "Overrides act on the table that the services' tags give, from top to bottom; documents in the "
      + "order of their names. A line with a mistake is left out, the others count."),
    rows(COMMANDS), el("h3", "", "Options"), rows(OPTIONS));
}
