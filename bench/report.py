#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of docs/performance.md from bench/results/*.json, between the marks of each region; --check
only says whether they are what the results give (tests/arch does so). The rows of the first table are the
figures that the project wants to reach, each with the function that finds it in the results."""

import argparse
import glob
import json
import os
import re
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(FOLDER)
PAGE = os.path.join(ROOT, "docs/performance.md")
REGION = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOT_MEASURED = "*not measured yet*"


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def number(value):
    """With three digits that say something, and no more."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if float(value).is_integer() and abs(value) < 1000:
        return f"{value:.0f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


# --- where it stands: each finder returns (text, whether it is reached)


def against(name, *others, limit=None):
    """CPU of tagway against the best of the others in a scenario of run; without a limit, to compare."""
    def find(data):
        rows = data["run"][name]["rows"]
        best = min((other for other in others if other in rows), key=lambda other: rows[other]["cpu_us"])
        ratio = rows[best]["cpu_ratio"]
        return (f"{ratio['median']:.2f} x {best} ({ratio['least']:.2f}-{ratio['most']:.2f}); "
                f"{rows['tagway']['cpu_us']:.1f} us against {rows[best]['cpu_us']:.1f}",
                None if limit is None else ratio["median"] <= limit)

    return find


def route_growth(data):
    rows = data["run"]["routes"]["rows"]
    found = [(rows[f"tagway, {what}"]["cpu_ratio"]["median"], limit)
             for what, limit in (("5,000 paths", 1.03), ("10,000 hosts", 1.03), ("100,000 hosts", 1.05))]
    return " / ".join(f"{ratio:.2f}" for ratio, _ in found), all(ratio <= limit for ratio, limit in found)


def syscalls(data):
    values = [data["exact"][f"syscalls, as it comes, {many}"]["value"] for many in ("32 connections", "1 connection")]
    return " / ".join(f"{value:.2f}" for value in values), values[0] <= 4.15 and values[1] <= 6.05


def instructions(data):
    value = data["exact"]["instructions, as it comes, 32 connections"]["value"]
    return f"{value:,.0f}", value <= 9000


CONSUL_LIMITS = {0: 4, 100: 8, 500: 15, 2000: 40}


def consul_medians(data, peer):
    """The slower of adding and removing, beside so many services."""
    return {row["others"]: max(row["changes"][what]["median_ms"] for what in ("add", "remove"))
            for row in data["consul"]["changes"] if row["peer"] == peer}


def consul_changes(data):
    medians, bare = (consul_medians(data, peer) for peer in ("tagway", "bare"))
    if set(medians) != set(CONSUL_LIMITS):
        return None
    text = "{} ms; a bare client {}".format(*(" / ".join(f"{found[others]:.1f}" for others in CONSUL_LIMITS)
                                              for found in (medians, bare)))
    return text, all(medians[others] <= limit for others, limit in CONSUL_LIMITS.items())


def consul_cpu(data):
    cpu = data["consul"]["cpu"]
    own = cpu["tagway"]
    return (f"{own['proxy']:.2f} + {own['consul']:.2f} s; with a bare client {cpu['bare']['consul']:.2f}, "
            f"without any {cpu['none']['consul']:.2f}", own["proxy"] <= 0.3 and own["consul"] <= 1)


def route_growth_exact(data):
    rows = [data["scale"][f"request, {what} / 1 route: instructions"]
            for what in ("5,000 paths of one host", "10,000 hosts", "100,000 hosts")]
    return " / ".join(f"{row['measured']:.2f}" for row in rows), all(row["measured"] <= row["to reach"] for row in rows)


def scale_figures(data):
    rows = [data["scale"][what] for what in ("modules: resident", "full build", "one change: answer decoded to table")]
    return (f"{rows[0]['measured']:.1f} MiB; {rows[1]['measured']:.1f} ms; {rows[2]['measured']:.2f} ms",
            all(row["measured"] <= row["to reach"] for row in rows))


def idle_memory(data):
    each = data["slow"]["idle"]["bytes each"]
    return f"{each:.0f} bytes", each <= 1024


def unread_memory(data):
    each = data["slow"]["answer"]["bytes each"]
    return f"{each / 1024:.1f} KiB", each <= 64 * 1024


def two_workers(data):
    row = data["workers"]["64 connections"]
    return f"{row['speed-up']:.2f} x ({row['spread'][0]:.2f}-{row['spread'][1]:.2f})", row["speed-up"] >= 1.8


def busiest_worker(data):
    most = data["workers"]["64 connections"]["share of the busiest"]
    return f"{100 * most:.0f} %", most <= 0.6


def soak_growth(data):
    found = data["soak"]
    return (f"{found['resident, after / before']:.3f} x after {found['names that came and went']:,} names, "
            f"{found['failed']} failed", found["resident, after / before"] <= 1.05 and not found["failed"])


FIGURES = [
    ("CPU per request, 128-byte bodies, 64 connections", "<= 0.90 x the better of nginx and haproxy", "run",
     against("small-64", "nginx", "haproxy", limit=0.90)),
    ("the same", "<= 1.15 x the relay", "run", against("small-64", "relay", limit=1.15)),
    ("CPU per request, 1,000 connections", "<= 0.80 x the better of nginx and haproxy", "run",
     against("small-1000", "nginx", "haproxy", limit=0.80)),
    ("system calls per request, 32 connections / 1 connection", "<= 4.15 / 6.05", "exact", syscalls),
    ("user instructions per request, counters on", "<= 9,000", "exact", instructions),
    ("CPU per 1 MiB response", "<= 1.0 x the relay that copies", "run",
     against("down-1m", "relay-copy", limit=1.0)),
    ("the same", "to compare: the relay that splices", "run", against("down-1m", "relay")),
    ("CPU per request with 5,000 paths / 10,000 / 100,000 hosts", "<= 1.03 / 1.03 / 1.05 x one route", "run",
     route_growth),
    ("user instructions per request with the same", "<= 1.03 / 1.03 / 1.05 x one route", "scale", route_growth_exact),
    ("user memory of an idle client connection", "<= 1 KiB", "slow", idle_memory),
    ("memory of a client that does not read a large body", "<= 64 KiB", "slow", unread_memory),
    ("10,000 services, 100,000 targets: resident; full build; one change", "<= 64 MiB; 50 ms; 1 ms", "scale",
     scale_figures),
    ("change in Consul to route beside 0 / 100 / 500 / 2,000 services, median", "<= 4 / 8 / 15 / 40 ms", "consul",
     consul_changes),
    ("CPU of tagway + Consul for 12 adds and 12 removes beside 2,000 services", "<= 0.3 + 1 s", "consul", consul_cpu),
    ("2 workers against 1, 64 connections, requests per second of CPU time", ">= 1.8 x", "workers", two_workers),
    ("CPU time of the busier of 2 workers, 64 connections", "<= 60 %", "workers", busiest_worker),
    ("memory after thousands of names have come and gone", "<= 1.05 x", "soak", soak_growth),
]


def summary(data, _):
    rows = []
    for what, goal, tool, find in FIGURES:
        try:
            found = find(data)
        except LookupError:
            found = None
        text, is_reached = found or (NOT_MEASURED, None)
        rows.append([what, goal, "`./dev slow`" if tool == "slow" else f"`./dev bench {tool}`", text,
                     {True: "yes", False: "**no**", None: ""}[is_reached]])
    return table(["what", "to reach", "command", "measured", "reached"], rows)


# --- one table for each tool


def run_tables(data, _):
    text = ""
    for name, result in data["run"].items():
        rows = []
        for label, row in result["rows"].items():
            each = [sample["cpu_us"] for sample in row["rounds"]]
            ratio = row.get("cpu_ratio")
            if ratio:
                of, to = (label, row["base"]) if ratio["is_of_itself"] else (row["base"], label)
                ratio = f"{ratio['median']:.2f} ({ratio['least']:.2f}-{ratio['most']:.2f}) {of} / {to}"
            rows.append([label, f"{row['cpu_us']:.1f}", f"{min(each):.1f}-{max(each):.1f}", f"{row['rps']:,.0f}",
                         f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}", ratio or ""])
        text += f"{result['title'][0].upper()}{result['title'][1:]} (`--scenario {name}`):\n\n" + table(
            ["", "CPU us/request", "spread", "requests/s", "p50 ms", "p99 ms", "CPU ratio (spread)"], rows) + "\n"
    return text


def latency_rows(rows):
    return [[name, *(f"{row[key] / 1000:.2f}" for key in ("p50_us", "p99_us", "p999_us", "max_us")), row["failed"]]
            for name, row in rows.items()]


def openloop_tables(data, _):
    found = data["openloop"]
    head = ["p50 ms", "p99 ms", "p99.9 ms", "worst ms", "failed"]
    text = "Capacity, requests/s: " + ", ".join(
        f"{name} {value:,.0f}" for name, value in found["capacity"].items()) + ".\n\n"
    for percent, rows in found["steady"].items():
        text += table([f"{percent} %: {found['rates'][percent]:,.0f}/s", *head], latency_rows(rows)) + "\n"
    return text + table([f"60 %, {found['changing']['changes']} changes", *head], latency_rows(found["changing"]["rows"]))


def exact_table(data, _):
    rows = [[name, number(row["value"]), number(row["budget"])] for name, row in data["exact"].items()
            if row["value"] is not None]
    return table(["per request", "counted", "budget"], rows)


def consul_table(data, _):
    peers = [peer for peer in ("bare", "tagway", "fabio")
             if any(row["peer"] == peer for row in data["consul"]["changes"])]
    cells = {}
    for row in data["consul"]["changes"]:
        for what, values in row["changes"].items():
            cells.setdefault((row["others"], what), {})[row["peer"]] = values
    rows = [[f"{what}, beside {others:,}", *(f"{found[peer]['median_ms']:.1f} ({found[peer]['p90_ms']:.1f})"
                                            if peer in found else "" for peer in peers)]
            for (others, what), found in cells.items()]
    text = table(["change to route, ms: median (p90)", *peers], rows) + "\n"
    return text + table(["CPU of 12 adds and 12 removes beside 2,000 services, s", "proxy", "Consul"],
                        [[peer, number(values.get("proxy")), number(values["consul"])]
                         for peer, values in data["consul"]["cpu"].items()])


def plain_table(tool):
    """Of results that are {what: value} or {what: {column: value}}."""
    def show(data, _):
        found = data[tool]
        if not all(isinstance(row, dict) for row in found.values()):
            return table(["", "measured"], [[what, number(value)] for what, value in found.items()])
        columns = list(dict.fromkeys(key for row in found.values() for key, value in row.items()
                                     if not isinstance(value, (dict, list))))
        return table(["", *columns], [[what, *(number(row.get(column)) for column in columns)]
                                      for what, row in found.items()])

    return show


def version_text(program, text):
    """The first word of it that is a version."""
    return f"{program} {re.search(r'[0-9][^ ,]*', text.replace(program, '')).group(0).partition('/')[0].rstrip('-')}" \
        if re.search("[0-9]", text) else f"{program}: {text}"


def machines(_, heads):
    """When, how busy the machine was and which program it was, for each tool; then what was the same."""
    rows, kinds, versions = [], {}, {}
    for tool, head in heads.items():
        about = head["machine"]
        rows.append([f"`{tool}`", time.strftime("%Y-%m-%d %H:%M", time.gmtime(head["at"])), number(about["load"]),
                     about.get("commit", "")])
        kind = f"{about['cpus']} CPUs ({about.get('cpu', 'unknown')}), Linux {about['kernel']}"
        kinds.setdefault(kind, []).append(tool)
        versions.update({key: value for key, value in about.items()
                         if key not in ("cpu", "cpus", "kernel", "load", "commit")})
    text = table(["tool", "at (UTC)", "load before", "last change of the program"], rows) + "\n"
    for kind, tools in kinds.items():
        text += f"{kind}" + (f" ({', '.join(tools)})" if len(kinds) > 1 else "") + ".\n"
    return text + ", ".join(version_text(*item) for item in versions.items()) + ".\n"


REGIONS = {"summary": summary, "machines": machines, "run": run_tables, "openloop": openloop_tables,
           "exact": exact_table, "consul": consul_table, "scale": plain_table("scale"),
           "workers": plain_table("workers"), "slow": plain_table("slow"), "soak": plain_table("soak")}


def load(folder):
    """{tool: results} and {tool: what stands beside them}."""
    data, heads = {}, {}
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        tool = os.path.basename(path).removesuffix(".json")
        data[tool], heads[tool] = found.get("results", found), found
    return data, heads


def fill(page, data, heads):
    def region(match):
        try:
            text = REGIONS[match.group(2)](data, heads)
        except KeyError:
            if match.group(2) in data:
                raise
            text = NOT_MEASURED + "\n"
        return f"{match.group(1)}\n{text.strip()}\n\n{match.group(3)}"

    return REGION.sub(region, page)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", metavar="FOLDER", default=os.path.join(FOLDER, "results"))
    parser.add_argument("--check", action="store_true", help="exit 1 when the page is not what the results give")
    parser.add_argument("--print", action="store_true", help="the page to the standard output, nothing changed")
    args = parser.parse_args()
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    filled = fill(page, *load(args.results))
    if args.print:
        print(filled, end="")
        return 0
    if args.check:
        return int(filled != page)
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(filled)
    return 0


if __name__ == "__main__":
    sys.exit(main())
