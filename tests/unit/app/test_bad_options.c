// SPDX-License-Identifier: Apache-2.0
// Every way to get the configuration wrong: where it is said, what is said, and what the error must
// tell.
#include "options_fixture.h"

enum where { FLAG, USAGE, ENVIRONMENT, FILE_TEXT }; // USAGE: the flag itself is at fault

static const struct {
    enum where where;
    const char *text;
    const char *reason;
} CASES[] = {
    // The command line itself.
    {USAGE, "-no.such.key", "flag provided but not defined: -no.such.key"},
    {USAGE, "-no.such.key=1", "flag provided but not defined: -no.such.key"},
    {USAGE, "-Proxy.Addr=:1", "flag provided but not defined: -Proxy.Addr"},
    {USAGE, "positional", "unexpected argument \"positional\""},
    {USAGE, "-", "unexpected argument \"-\""},
    {USAGE, "---x", "unexpected argument \"---x\""},
    {USAGE, "-=x", "unexpected argument \"-=x\""},
    {USAGE, "-ui.title", "flag needs an argument: -ui.title"},
    {USAGE, "-proxy.maxconn=abc", "invalid value \"abc\" for flag -proxy.maxconn"},
    {USAGE, "-proxy.maxconn=", "invalid value \"\" for flag -proxy.maxconn"},
    {USAGE, "-proxy.dialtimeout=5", "must be a duration like 30s"},
    {USAGE, "-insecure=maybe", "must be true or false"},
    {USAGE, "-proxy.addr=a=\"b", "unbalanced quotes"},
    {USAGE, "-metrics.prometheus.buckets=1,x", "must be numbers"},
    {USAGE, "-bgp.peers=\"hush", "invalid value \"***\" for flag -bgp.peers: malformed"},
    {USAGE, "-proxy.auth=\"x", "invalid value \"\"x\" for flag -proxy.auth: unbalanced quotes"},
    {FLAG, "-cfg=", "invalid or missing path to config file"},
    {FLAG, "-cfg", "invalid or missing path to config file"},
    {FLAG, "-cfg=/no/such/file", "config file \"/no/such/file\": No such file"},
    {FLAG, "-cfg=/", "config file \"/\": Is a directory"},
    {FLAG, "-cfg=http://u:hush@127.0.0.1:1/f?hush", "config file \"http://127.0.0.1:1/f\": "},
    {FLAG, "-cfg=''", "invalid or missing path to config file"},

    // Values that have the right form and no meaning.
    {FLAG, "-proxy.strategy=x",
     "proxy.strategy: bad value \"x\" from flag -proxy.strategy: must be rnd or rr"},
    {FLAG, "-proxy.matcher=regex", "must be prefix, iprefix or glob"},
    {FLAG, "-ui.access=none", "must be empty, ro or rw"},
    {FLAG, "-log.level=LOUD", "must be TRACE, DEBUG"},
    {FLAG, "-log.routes.format=x", "must be delta, all or detail"},
    {FLAG, "-proxy.log.routes=x", "must be delta, all or detail"},
    {FLAG, "-log.access.target=stderr", "must be stdout or empty"},
    {FLAG, "-log.access.format=", "empty log format"},
    {FLAG, "-log.access.format=nginx", "must be common, combined, json or a text with fields"},
    {FLAG, "-log.access.format=$remote_host $bad", "invalid field \"$bad\""},
    {FLAG, "-log.access.format=$request\n", "has a control character"},
    {FLAG, "-registry.backend=etcd", "must be consul, static, file or custom"},
    {FLAG, "-registry.backend=file", "registry.file.path is needed too"},
    {FLAG, "-registry.consul.kvpath=fabio", "must begin with /"},
    {FLAG, "-registry.consul.noroutehtmlpath=", "must begin with /"},
    {FLAG, "-registry.consul.addr=", "must be host:port or a URL"},
    {FLAG, "-registry.consul.addr=http:///x", "must be host:port or a URL"},
    {FLAG, "-registry.consul.addr=http://u:hush@h:1",
     "bad value \"***@h:1\" from flag -registry.consul.addr: cannot have a user"},
    {FLAG, "-registry.consul.checksRequired=two", "must be one, all or none"},
    {FLAG, "-registry.consul.unhealthyroute=404", "must be 503, drop or failopen"},
    {FLAG, "-registry.consul.register.addr=nowhere", "need host:port"},
    {FLAG, "-registry.consul.register.addr={{ Get }}:1", "unknown function \"Get\""},
    {FLAG, "-registry.consul.register.checkDeregisterCriticalServiceAfter=90",
     "must be a duration"},
    {FLAG, "-metrics.target=influx", "invalid metrics backend \"influx\""},
    {FLAG, "-metrics.target=prometheus,statsd", "removed in favor of statsd_raw"},
    {FLAG, "-metrics.target=circonus", "circonus is not supported: use prometheus"},
    {FLAG, "-metrics.target=graphite",
     "metrics.graphite.addr: bad value \"\" from the defaults: must be host:port"},
    {FLAG, "-metrics.target=statsd_raw", "metrics.statsd.addr: bad value"},
    {FLAG, "-metrics.target=dogstatsd", "metrics.dogstatsd.addr: bad value"},
    {FLAG, "-metrics.prefix={{.Pid}}", "unknown template \"{{.Pid}}\""},
    {FLAG, "-metrics.prefix={{.Exec", "template without \"}}\""},
    {FLAG, "-metrics.prefix=a b", "cannot have blanks"},
    {FLAG, "-metrics.prometheus.path=m", "must begin with /"},
    {FLAG, "-metrics.prometheus.path=/m?x", "is not the path of a URL"},
    {FLAG, "-metrics.prometheus.buckets=1,1", "must be in increasing order"},
    {FLAG, "-metrics.prometheus.buckets=2,1", "must be in increasing order"},
    {FLAG, "-metrics.names.compat=x", "must be tagway or fabio"},
    {FLAG, "-proxy.weightzero=x", "must be dynamic or none"},
    {FLAG, "-ui.path=x", "must begin with /"},
    {FLAG, "-ui.addr=", "must contain only one listener"},
    {FLAG, "-ui.addr=:1,:2", "must contain only one listener"},
    {FLAG, "-ui.addr=9998", "need host:port"},
    {FLAG, "-proxy.addr=9999", "need host:port"},
    {FLAG, "-proxy.addr=proto=http", "need listening host:port"},
    {FLAG, "-proxy.addr=:99999", "port must be a number"},
    {FLAG, "-proxy.addr=:1;proto=ftp", "unknown protocol \"ftp\""},
    {FLAG, "-proxy.addr=:1;rt=5", "rt: \"5\" is not a duration"},
    {FLAG, "-proxy.addr=:1;wt=x", "wt: \"x\" is not a duration"},
    {FLAG, "-proxy.addr=:1;it=-1s", "it: \"-1s\" is not a duration"},
    {FLAG, "-proxy.addr=:1,:2,:3,:4,:5,:6,:7,:8,:9,:1,:1,:1,:1,:1,:1,:1,:1",
     "more than 16 listeners"},
    {FLAG, "-proxy.trusted=10.0.0.0/8,office", "\"office\" is not an address block"},
    {FLAG, "-proxy.trusted=10.0.0.0/64", "is not an address block"},
    {FLAG, "-proxy.localip=localhost", "must be an address"},
    {FLAG, "-proxy.header.tls=X Y", "is not a header name"},
    {FLAG, "-proxy.header.clientip=X:", "is not a header name"},
    {FLAG, "-proxy.header.requestid=\xc3\xa4", "is not a header name"},
    {FLAG, "-proxy.header.tls.value=a\r\nb", "has a control character"},

    // Not supported yet.
    {FLAG, "-proxy.addr=:1;proto=tcp",
     "proxy.addr: listener \":1\" with proto=tcp from flag -proxy.addr is not supported yet"},
    {FLAG, "-proxy.addr=:1;proto=tcp+sni", "with proto=tcp+sni from"},
    {FLAG, "-proxy.addr=:1;proto=tcp-dynamic;refresh=5s", "with proto=tcp-dynamic from"},
    {FLAG, "-proxy.addr=:1;proto=grpc", "with proto=grpc from"},
    {FLAG, "-proxy.addr=:1;pxyproto=true", "with pxyproto=true from"},
    {FLAG, "-ui.addr=:1;pxyproto=true", "ui.addr: listener \":1\" with pxyproto=true from"},
    {FLAG, "-proxy.auth=name=a;type=basic", "missing 'file' in auth 'a'"},
    {FLAG, "-proxy.gzip.contenttype=^(text/", "invalid expression for content types: "},
    {USAGE, "-proxy.gzip.maxstreams=0", "must be from 1 to 65536"},
    {FLAG, "-registry.backend=custom", "registry.custom.host is needed too"},
    {FLAG, "-registry.consul.service.status=,", "must name at least one state"},
    {FLAG, "-registry.custom.scheme=ftp", "must be https or http"},
    {FLAG, "-registry.custom.pollinterval=0", "must be above 0"},
    {FLAG, "-registry.custom.host=http://x", "must be host or host:port"},

    // The environment: nothing is swallowed, and the variable is named.
    {ENVIRONMENT, "FABIO_PROXY_STRATEGY=x",
     "proxy.strategy: bad value \"x\" from environment FABIO_PROXY_STRATEGY: must be rnd or rr"},
    {ENVIRONMENT, "PROXY_MAXCONN=abc",
     "proxy.maxconn: bad value \"abc\" from environment PROXY_MAXCONN: must be a whole number"},
    {ENVIRONMENT, "fabio_proxy_dialtimeout=5",
     "from environment fabio_proxy_dialtimeout: must be a duration"},
    {ENVIRONMENT, "INSECURE=yes",
     "insecure: bad value \"yes\" from environment INSECURE: must be true or false"},
    {ENVIRONMENT, "FABIO_PROXY_NOROUTESTATUS=199", "must be from 200 to 999"},
    {ENVIRONMENT, "FABIO_PROXY_NOROUTESTATUS=1000", "must be from 200 to 999"},
    {ENVIRONMENT, "FABIO_PROXY_WORKERS=65", "must be from 0 to 64"},
    {ENVIRONMENT, "FABIO_PROXY_WORKERS=-1", "must be from 0 to 64"},
    {ENVIRONMENT, "FABIO_PROXY_REQUEST_MAXFIELDS=129", "must be from 8 to 128"},
    {ENVIRONMENT, "FABIO_REGISTRY_CONSUL_MAXWATCHES=151", "must be from 1 to 150"},
    {ENVIRONMENT, "FABIO_REGISTRY_CONSUL_MASSDROP=101", "must be from 0 to 100"},
    {ENVIRONMENT, "FABIO_PROXY_SHUTDOWNWAIT=", "must be a duration"},
    {ENVIRONMENT, "FABIO_BGP_PEERS=\"hush",
     "bgp.peers: bad value \"***\" from environment FABIO_BGP_PEERS: malformed"},
    {ENVIRONMENT, "FABIO_RUNTIME_GOGC=x", "runtime.gogc: bad value"},
    {ENVIRONMENT, "FABIO_PROXY_ADDR=:1;rt=5", "from environment FABIO_PROXY_ADDR: rt"},

    // The file: name, line and key.
    {FILE_TEXT, "# c\nproxy.strategy = rr x", " line 2: must be rnd or rr"},
    {FILE_TEXT, "proxy.maxconn = abc", " line 1: must be a whole number"},
    {FILE_TEXT, "proxy.dialtimeout = 5", " line 1: must be a duration"},
    {FILE_TEXT, "ui.title = ${a", " line 1: malformed expression"},
    {FILE_TEXT, "ui.title = ${ui.title}", " line 1: circular reference"},
    {FILE_TEXT, "ui.title = \\u12", " line 1: invalid unicode literal"},
    {FILE_TEXT, "proxy.addr = :1;cs=c\nproxy.cs = cs=c;type=file;cert=x",
     "listener \":1\" with proto=https (TLS) from "},
    {FILE_TEXT, "ui.addr = :1;cs=c\nproxy.cs = cs=c;type=path;cert=x",
     "listener \":1\" with cs=c (TLS) from "},
    {FILE_TEXT, "registry.consul.requireConsistent = true\nregistry.consul.allowStale = true",
     "cannot be combined with registry.consul.allowStale=true"},

    // Certificate sources and the listeners that use them, by fabio's rules.
    {FLAG, "-proxy.addr=:1;cs=c", "unknown certificate source \"c\""},
    {FLAG, "-ui.addr=:1;cs=c", "unknown certificate source \"c\""},
    {FLAG, "-proxy.addr=:1;proto=https", "proto 'https' requires cert source"},
    {FLAG, "-proxy.addr=:1;proto=grpcs", "proto 'grpcs' requires cert source"},
    {FLAG, "-proxy.addr=:1;proto=https+tcp+sni", "proto 'https+tcp+sni' requires cert source"},
    {FILE_TEXT, "proxy.addr = :1;cs=c;proto=http\nproxy.cs = cs=c;type=file;cert=x",
     "cert source requires proto 'https'"},
    {FILE_TEXT, "proxy.addr = :1;cs=c;proto=tcp+sni\nproxy.cs = cs=c;type=file;cert=x",
     "cert source requires proto 'https'"},
    {FLAG, "-proxy.addr=:1;tlsmin=ssl30", "unknown TLS version \"ssl30\""},
    {FLAG, "-proxy.addr=:1;tlsmax=65536", "unknown TLS version \"65536\""},
    {FLAG, "-proxy.addr=:1;tlsciphers=\"TLS_AES_128_GCM_SHA256,NULL\"",
     "unknown cipher suite \"NULL\""},
    {FLAG, "-proxy.addr=:1;tlsciphers=", "unknown cipher suite \"\""},
    {FLAG, "-proxy.addr=:1;pxytimeout=1", "pxytimeout: \"1\" is not a duration"},
    {FLAG, "-proxy.addr=:1;refresh=x", "refresh: \"x\" is not a duration"},
    {FLAG, "-proxy.cs=type=file;cert=hush", "missing 'cs' in certificate source \"\""},
    {FLAG, "-proxy.cs=cs=a;type=file", "missing 'cert' in certificate source \"a\""},
    {FLAG, "-proxy.cs=cs=a;cert=hush", "missing 'type' in certificate source \"a\""},
    {FLAG, "-proxy.cs=cs=a;type=zip;cert=hush", "unknown type \"zip\": must be file, path"},
    {FLAG, "-proxy.cs=cs=a;type=path;cert=hush;refresh=3", "refresh: \"3\" is not a duration"},
    {FLAG, "-proxy.cs=cs=a;type=http;cert=hush;hdr=hush", "hdr must be \"Name: value\""},
    {USAGE, "-proxy.cs=cs=\"hush", "invalid value \"***\" for flag -proxy.cs: malformed"},

    // Keys without effect are checked all the same.
    {FLAG, "-bgp.peers=address=hush;asn=x", "asn must be a whole number"},
    {FLAG, "-bgp.peers=address=hush;port=-1", "port must be a whole number"},
    {FLAG, "-bgp.peers=address=hush;multihop=yes", "multihop must be true or false"},
    {FLAG, "-bgp.peers=multihoplength=", "multihoplength must be a whole number"},
    {FLAG, "-profile.mode=heap", "must be empty, cpu, mem, mutex, block or trace"},
    {USAGE, "-bgp.asn=-1", "must be from 0 to 4294967295"},
};

static struct reading read_case(size_t i)
{
    char *text = (char *)CASES[i].text;
    switch (CASES[i].where) {
    case FLAG:
    case USAGE: return read_options(ARGS(text), NO_ENV);
    case ENVIRONMENT: return read_options(NO_ARGS, ENV(text));
    case FILE_TEXT: return read_options_file(text, NO_ARGS, NO_ENV);
    }
    return (struct reading){0};
}

static void each_mistake_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct reading reading = read_case(i);
        if (reading.rc >= 0 || reading.is_usage_error != (CASES[i].where == USAGE) ||
            !strstr(reading.err.text, CASES[i].reason) || strstr(reading.err.text, "hush"))
            fail_msg("%s\n  gave %d: %s\n  not: %s", CASES[i].text, reading.rc, reading.err.text,
                     CASES[i].reason);
        assert_true(strlen(reading.err.text) < sizeof reading.err.text - 1); // not cut
        options_fini(&reading.options);
    }
}

static void long_values_do_not_hide_the_reason(void **state)
{
    (void)state;
    static char text[5000] = "-proxy.strategy=";
    memset(text + strlen(text), 'x', sizeof text - strlen(text) - 1);
    struct reading reading = read_options(ARGS(text), NO_ENV);
    assert_non_null(strstr(reading.err.text, "must be rnd or rr"));
    options_fini(&reading.options);

    // More trusted blocks than there is room for.
    static char blocks[2000] = "-proxy.trusted=";
    for (int i = 0; i < 65; i++)
        strcat(blocks, "192.0.2.1,");
    reading = read_options(ARGS(blocks), NO_ENV);
    assert_non_null(strstr(reading.err.text, "more than 64 address blocks"));
    options_fini(&reading.options);
}

static void a_file_above_the_maximum_is_refused(void **state)
{
    (void)state;
    size_t size = 1100 * 1024;
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, '\n', size);
    text[size] = '\0';
    struct reading reading = read_options_file(text, NO_ARGS, NO_ENV);
    assert_non_null(strstr(reading.err.text, "too large"));
    options_fini(&reading.options);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_is_named),
        cmocka_unit_test(long_values_do_not_hide_the_reason),
        cmocka_unit_test(a_file_above_the_maximum_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
