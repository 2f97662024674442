# SPDX-License-Identifier: Apache-2.0
"""docs/migrating-from-fabio.md against the option table and the tests: no key of fabio's is forgotten, no
verdict contradicts the code, and each section of fabio's behaviour names tests that are there."""

import os
import re

from test_layers import ROOT, text_of

PAGE = "docs/migrating-from-fabio.md"
VERDICTS = {"same", "better", "gone", "later", "new"}

# The flags of fabio 1.7.3, as its -h lists them, and one that only its file takes.
FABIO_KEYS = set("""
cfg v version insecure profile.mode profile.path runtime.gogc runtime.gomaxprocs aws.apigw.cert.cn
bgp.anycastaddresses bgp.asn bgp.enabled bgp.enablegrpc bgp.gobgpdcfgfile bgp.grpclistenaddress
bgp.listenaddresses bgp.listenport bgp.nexthop bgp.peers bgp.routerid
glob.cache.size glob.matching.disabled
log.access.format log.access.target log.level log.routes.format proxy.log.routes
metrics.circonus.apiapp metrics.circonus.apikey metrics.circonus.apiurl metrics.circonus.brokerid
metrics.circonus.checkid metrics.circonus.submissionurl metrics.dogstatsd.addr metrics.graphite.addr
metrics.interval metrics.names metrics.prefix metrics.prometheus.buckets metrics.prometheus.path
metrics.prometheus.subsystem metrics.retry metrics.statsd.addr metrics.target metrics.timeout
proxy.addr proxy.auth proxy.cs proxy.deregistergraceperiod proxy.dialtimeout proxy.flushinterval
proxy.globalflushinterval proxy.grpcmaxrxmsgsize proxy.grpcmaxtxmsgsize proxy.grpcshutdowntimeout
proxy.gzip.contenttype proxy.header.clientip proxy.header.requestid proxy.header.sts.maxage
proxy.header.sts.preload proxy.header.sts.subdomains proxy.header.tls proxy.header.tls.value
proxy.idleconntimeout proxy.keepalivetimeout proxy.localip proxy.matcher proxy.maxconn
proxy.noroutestatus proxy.readtimeout proxy.responseheadertimeout proxy.shutdownwait proxy.strategy
proxy.writetimeout
registry.backend registry.consul.addr registry.consul.allowStale registry.consul.checksRequired
registry.consul.kvpath registry.consul.namespace registry.consul.noroutehtmlpath
registry.consul.pollinterval registry.consul.register.addr
registry.consul.register.checkDeregisterCriticalServiceAfter registry.consul.register.checkInterval
registry.consul.register.checkTLSSkipVerify registry.consul.register.checkTimeout
registry.consul.register.enabled registry.consul.register.name registry.consul.register.tags
registry.consul.requireConsistent registry.consul.service.status registry.consul.serviceMonitors
registry.consul.tagprefix registry.consul.tls.cafile registry.consul.tls.capath
registry.consul.tls.certfile registry.consul.tls.insecureskipverify registry.consul.tls.keyfile
registry.consul.token registry.custom.checkTLSSkipVerify registry.custom.host
registry.custom.noroutehtml registry.custom.path registry.custom.pollinterval
registry.custom.queryparams registry.custom.scheme registry.custom.timeout
registry.file.noroutehtmlpath registry.file.path registry.retry registry.static.noroutehtml
registry.static.routes registry.timeout
ui.access ui.addr ui.color ui.path ui.routingtable.source.host ui.routingtable.source.linkenabled
ui.routingtable.source.newtab ui.routingtable.source.port ui.routingtable.source.scheme ui.title
""".split())

# Asked for on the command line alone, without a row.
COMMAND_LINE_ONLY = {"cfg", "v", "version"}


def table_rows(heading):
    """Cells of the first table below that heading."""
    section = text_of(PAGE).split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert len(lines) > 2, f"no table under {heading}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def verdicts_of_keys():
    found = {}
    for keys, verdict, *_ in table_rows("Keys"):
        for key in re.findall(r"`([^`]+)`", keys):
            assert key not in found, f"{key} stands twice"
            found[key] = verdict
    return found


def states_of_rows():
    """Key -> OPTION_USED, OPTION_IGNORED or OPTION_REFUSED, from the option table."""
    rows = re.findall(r'\{\.key = "([^"]+)"(.*?)\},\n', text_of("src/app/options_table.c"), re.DOTALL)
    assert len(rows) > 100
    states = {}
    for key, rest in rows:
        state = re.search(r"\.state = (\w+)", rest)
        states[key] = state.group(1) if state else "OPTION_USED"
    return states


def test_every_key_of_fabio_has_one_verdict():
    verdicts = verdicts_of_keys()
    assert set(verdicts) == FABIO_KEYS
    assert set(verdicts.values()) <= VERDICTS


def test_every_key_of_fabio_is_accepted():
    assert FABIO_KEYS - COMMAND_LINE_ONLY <= set(states_of_rows())


def test_gone_are_the_keys_without_effect():
    states = states_of_rows()
    gone = {key for key, verdict in verdicts_of_keys().items() if verdict == "gone"}
    later = {key for key, verdict in verdicts_of_keys().items() if verdict == "later"}
    ignored = {key for key in FABIO_KEYS & set(states) if states[key] == "OPTION_IGNORED"}
    assert gone <= ignored
    assert ignored <= gone | later


def test_tags_endpoints_and_metrics_have_verdicts():
    for heading in ("Tags and commands", "Admin endpoints", "Metrics"):
        for what, verdict, *_ in table_rows(heading):
            assert verdict in VERDICTS, f"{what}: {verdict}"


def test_every_section_names_its_tests():
    rows = table_rows("Sections and their tests")
    assert [row[0].split(" ")[0] for row in rows] == [str(number) for number in range(13)]
    named = set()
    for row in rows:
        files = re.findall(r"`(tests/[a-z_/0-9]+\.(?:py|c))`", row[1])
        assert files, row[0]
        for path in files:
            assert re.search(r"\btest_\w+\(|cmocka_unit_test\(", text_of(path)), f"{path} has no test"
        named |= set(files)
    there = {f"tests/fabio/{name}" for name in os.listdir(os.path.join(ROOT, "tests/fabio"))
             if name.startswith("test_")}
    assert there <= named, there - named
