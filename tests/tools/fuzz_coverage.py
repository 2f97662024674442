#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the corpora of the fuzz targets reach of the parsers they are for, by lines, with a floor for each
parser: fuzz_coverage.py BUILD (made with -Db_coverage=true). Lines that only a shortage of memory reaches
do not count: the unit tests sweep them."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from xml.sax.saxutils import quoteattr

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLOOR = 95.0
SHORTAGE = re.compile(r"NOMEM|out_of_memory")

# The files each target is for; a file that several are for is judged by all of them together.
PARSERS = {
    "access_format": ["proxy/access_format.c"],
    "auth": ["auth/htpasswd.c", "http/basic.c", "route/access.c", "base/ip.c", "base/base64.c"],
    "chunk": ["http/chunk.c"],
    "compose": ["http/compose.c", "http/fields.c", "http/target.c", "http/head.c",
                "http/head_line.c"],
    "connection": ["proxy/body.c", "proxy/gzip_rules.c"],
    "consul_json": ["discover/decode.c", "discover/json.c", "discover/decode_kv.c", "discover/decode_node.c",
                    "discover/json_split.c", "discover/state_digest.c"],
    "custom_json": ["discover/custom_decode.c", "discover/json.c", "route/command.c", "route/def.c"],
    "glob": ["route/glob.c"],
    "gzip_rules": ["proxy/gzip_rules.c"],
    "options": ["app/options_listen.c", "app/metrics_prefix.c", "app/template.c", "app/address.c"],
    "override": ["admin/manual_body.c"],
    "properties": ["app/properties.c", "app/value.c", "app/tls_names.c", "app/address_template.c", "app/address.c",
                   "base/ip.c"],
    "request_head": ["http/head.c", "http/head_line.c", "http/head_plain.c", "http/head_spans.c",
                     "http/fields.c"],
    "response_head": ["http/head.c", "http/head_line.c", "http/head_plain.c", "http/head_spans.c",
                      "http/fields.c"],
    "route_command": ["route/command.c", "route/url.c", "route/def.c", "route/text.c"],
    "snapshot": ["discover/snapshot_text.c"],
    "tag": ["route/tag.c", "route/def.c", "route/url.c", "route/text.c"],
    "target": ["http/target.c"],
}

# The data path as a whole, driven by one target: shown, not judged. Much of it needs a second host, TLS
# or a password, which other tests have.
SHOWN = {
    "connection": ["proxy/client.c", "proxy/exchange.c", "proxy/forward.c", "proxy/response.c",
                   "proxy/tunnel.c", "base/regexp.c", "upstream/pool.c", "net/sock.c", "net/block.c"],
}


# Functions beside the parsers that no text reaches: they read files, look names up, or name things.
NOT_PARSING = {
    "address_parse", "htpasswd_load", "htpasswd_ref", "interface_list_read", "look_up",
    "route_health_text",
}


def find_notes(build, source):
    """The .gcno of src/LAYER/NAME.c; its object's name begins with that of the library."""
    layer, name = source.split("/")
    for folder, _, names in os.walk(os.path.join(build, "src", layer)):
        for candidate in names:
            if candidate in (f"{name}.gcno", f"{name[:-2]}.c.gcno"):
                return os.path.join(folder, candidate)
    return None


def lines_of(data):
    """{line: count} of the source itself in a .gcda with its .gcno beside it."""
    output = subprocess.run(["gcov", "--json-format", "--stdout", os.path.basename(data)],
                            cwd=os.path.dirname(data), capture_output=True, check=True).stdout
    lines = {}
    text = gzip.decompress(output) if output[:2] == b"\x1f\x8b" else output
    for document in text.splitlines():
        for file in json.loads(document)["files"]:
            if not file["file"].endswith(".c"):
                continue
            left_out = {number for function in file["functions"] if function["name"] in NOT_PARSING
                        for number in range(function["start_line"], function["end_line"] + 1)}
            for line in file["lines"]:
                number = line["line_number"]
                if number in left_out:
                    continue
                lines[number] = lines.get(number, 0) + line["count"]
    return lines


def measure(build, target, sources):
    """{source: {line: count}} after the target has run over its corpus, and nothing else has."""
    build = os.path.abspath(build)
    result = {}
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([f"{build}/tests/fuzz/replay_{target}", os.path.join(ROOT, "tests/fuzz/corpus", target)],
                       env={**os.environ, "GCOV_PREFIX": directory}, stdout=subprocess.DEVNULL, check=True)
        for source in sources:
            notes = find_notes(build, source)
            data = notes and directory + notes[:-len("gcno")] + "gcda"
            if not data or not os.path.exists(data):
                continue
            shutil.copy(notes, os.path.dirname(data))
            result[source] = lines_of(data)
    return result


def without_shortage(source, lines):
    with open(os.path.join(ROOT, "src", source), encoding="utf-8") as file:
        texts = file.read().splitlines()
    return {number: count for number, count in lines.items()
            if count or not SHORTAGE.search(texts[number - 1])}


def run(build, junit_path=None):
    """Prints the table; True when every parser reaches the floor. Each parser is one test case."""
    union, by, shown = {}, {}, {}
    for target in sorted(PARSERS):
        for source, lines in measure(build, target, PARSERS[target] + SHOWN.get(target, [])).items():
            place = shown if source in SHOWN.get(target, []) else union
            known = place.setdefault(source, {})
            for number, count in lines.items():
                known[number] = known.get(number, 0) + count
            by.setdefault(source, []).append(target)
    cases = []
    print(f"\n{'line coverage of parsers by the fuzz corpora':<44}{'lines':>7}{'%':>8}  targets")
    for source in sorted({source for sources in PARSERS.values() for source in sources}):
        lines = without_shortage(source, union.get(source, {}))
        missed = [number for number, count in sorted(lines.items()) if count == 0]
        percent = 100.0 * (len(lines) - len(missed)) / len(lines) if lines else 0.0
        cases.append((source, percent))
        note = "" if percent >= FLOOR else "  below 95: " + ",".join(map(str, missed[:40]))
        print(f"{'src/' + source:<44}{len(lines):>7}{percent:>8.1f}  {', '.join(by.get(source, []))}{note}")
    print("the data path in the whole-connection target")
    for source, lines in sorted(shown.items()):
        covered = sum(1 for count in lines.values() if count)
        print(f"{'src/' + source:<44}{len(lines):>7}{100.0 * covered / len(lines):>8.1f}")
    if junit_path:
        with open(junit_path, "w", encoding="utf-8") as file:
            file.write("<testsuite>")
            for source, percent in cases:
                failure = "" if percent >= FLOOR else f"<failure message={quoteattr(f'{percent:.1f} %')}/>"
                file.write(f"<testcase name={quoteattr('fuzz coverage ' + source)}>{failure}</testcase>")
            file.write("</testsuite>")
    return all(percent >= FLOOR for _, percent in cases)


if __name__ == "__main__":
    sys.exit(0 if run(sys.argv[1]) else 1)
