// SPDX-License-Identifier: Apache-2.0
#include "options_fixture.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>

#include "base/mem.h"

static struct options read_well(struct reading reading)
{
    assert_string_equal(reading.err.text, "");
    assert_int_equal(reading.rc, 0);
    assert_false(reading.is_usage_error);
    return reading.options;
}

static void has_the_documented_defaults(void **state)
{
    (void)state;
    struct options options = read_well(read_options(NO_ARGS, NO_ENV));
    assert_int_equal(options.backend, BACKEND_CONSUL);
    assert_int_equal(options.log_level, LOG_INFO);
    assert_int_equal(options.shutdown_wait_ms, 10000);
    assert_int_equal(options.deregister_grace_ms, 0);
    assert_int_equal(options.registry_timeout_ms, 0);
    assert_false(options.is_insecure);

    assert_int_equal(options.proxy.listener_count, 1);
    assert_str(options.proxy.listeners[0].addr, ":9999");
    assert_int_equal(options.proxy.listeners[0].proto, LISTENER_HTTP);
    const struct sockaddr_in6 *any = (void *)&options.proxy.listeners[0].sockaddr;
    assert_int_equal(any->sin6_family, AF_INET6);
    assert_int_equal(ntohs(any->sin6_port), 9999);
    assert_int_equal(options.proxy.worker_count, 0);
    assert_int_equal(options.proxy.noroute_status, 404);
    assert_int_equal(options.proxy.trusted_count, 8);
    assert_int_equal(options.proxy.request_limits.head_max, 32768);
    assert_int_equal(options.proxy.request_limits.target_max, 16384);
    assert_int_equal(options.proxy.request_limits.fields_max, 128);
    assert_int_equal(options.proxy.client_head_timeout_ms, 10000);
    assert_int_equal(options.proxy.client_idle_timeout_ms, 60000);
    assert_int_equal(options.proxy.client_body_timeout_ms, 30000);
    assert_int_equal(options.proxy.client_write_timeout_ms, 30000);
    assert_int_equal(options.proxy.connect_timeout_ms, 30000);
    assert_int_equal(options.proxy.response_timeout_ms, 0);
    assert_int_equal(options.proxy.upstream_idle_timeout_ms, 15000);
    assert_int_equal(options.proxy.tunnel_idle_timeout_ms, 3600000);
    assert_int_equal(options.proxy.max_idle_per_endpoint, 10000);
    assert_int_equal(options.proxy.max_requests_per_connection, 1000);
    assert_int_equal(options.proxy.retry_attempts, 2);
    assert_null(options.proxy.access_log);
    assert_int_equal(options.proxy.sts_value.len, 0);

    assert_str(options.admin.addr, ":9998");
    assert_int_equal(options.admin.access, UI_ACCESS_DEFAULT);
    assert_str(options.admin.color, "light-green");
    assert_int_equal(options.admin.stale_ready_ms, 0);

    assert_str(options.consul.addr, "localhost:8500");
    assert_str(options.consul.kv_path, "/fabio/config");
    assert_str(options.consul.noroute_path, "/fabio/noroute.html");
    assert_str(options.consul.tag_prefix, "urlprefix-");
    assert_str(options.consul.accepted_status, "passing");
    assert_int_equal(options.consul.checks_required, CHECKS_ONE);
    assert_int_equal(options.consul.unhealthy_routes, UNHEALTHY_503);
    assert_false(options.consul.is_consistent);
    assert_true(options.consul.allows_stale);
    assert_int_equal(options.consul.max_watches, 64);
    assert_int_equal(options.consul.wait_ms, 60000);
    assert_int_equal(options.consul.mass_drop_percent, 50);
    assert_true(options.consul.registers);
    assert_str(options.consul.register_name, "fabio");
    assert_true(str_ends_with(options.consul.register_addr, STR(":9998")));
    assert_false(str_starts_with(options.consul.register_addr, STR(":")));
    assert_int_equal(options.consul.check_interval_ms, 1000);
    assert_int_equal(options.consul.check_timeout_ms, 3000);

    assert_int_equal(options.feed.coalesce_ms, 20);
    assert_int_equal(options.feed.coalesce_max_ms, 200);
    assert_int_equal(options.feed.log_format, ROUTES_LOG_DELTA);
    assert_int_equal(options.feed.routes.strategy, ROUTE_PICK_RANDOM);
    assert_int_equal(options.feed.routes.matcher, ROUTE_MATCH_PREFIX);
    assert_false(options.feed.routes.is_weight_zero_none);
    assert_int_equal(options_warning_count(&options), 0);
    options_fini(&options);
}

static void flags_take_fabios_forms(void **state)
{
    (void)state;
    struct options options = read_well(read_options(
        ARGS("-proxy.strategy", "rr", "--proxy.matcher=glob", "-insecure", "--ui.title", "a=b",
             "-glob.matching.disabled=T", "-proxy.maxconn=0x10", "-ui.title=last", "--"),
        NO_ENV));
    assert_int_equal(options.feed.routes.strategy, ROUTE_PICK_ROUND_ROBIN);
    assert_int_equal(options.feed.routes.matcher, ROUTE_MATCH_GLOB);
    assert_true(options.is_insecure);
    assert_true(options.feed.routes.are_globs_disabled);
    assert_int_equal(options.proxy.max_idle_per_endpoint, 16);
    assert_str(options.admin.title, "last");
    options_fini(&options);
}

static void precedence_is_flag_prefix_bare_file_default(void **state)
{
    (void)state;
    // Each source also says what the better ones say, and one thing more.
    const char *file = "ui.title = file\nui.color = file\nproxy.header.tls = file\n"
                       "proxy.header.clientip = file\n";
    struct options options = read_well(
        read_options_file(file, ARGS("-ui.title", "flag"),
                          ENV("UI_TITLE=bare", "UI_COLOR=bare", "PROXY_HEADER_TLS=bare",
                              "FABIO_UI_TITLE=prefix", "FABIO_UI_COLOR=prefix", "PATH=/bin")));
    assert_str(options.admin.title, "flag");
    assert_str(options.admin.color, "prefix");
    assert_str(options.proxy.compose.tls_header, "bare");
    assert_str(options.proxy.compose.client_ip_header, "file");
    assert_str(options.proxy.compose.request_id_header, "");
    assert_int_equal(options_warning_count(&options), 0);
    options_fini(&options);
}

static void environment_ignores_case(void **state)
{
    (void)state;
    struct options options = read_well(read_options(
        NO_ARGS, ENV("fabio_ui_title=a", "FABIO_UI_TITLE=b", "FaBiO_Ui_Color=c", "proxy_maxconn=7",
                     "FABIO_REGISTRY_CONSUL_REGISTER_CHECKINTERVAL=5s", "NO_EQUALS")));
    assert_str(options.admin.title, "a"); // the first of several spellings
    assert_str(options.admin.color, "c");
    assert_int_equal(options.proxy.max_idle_per_endpoint, 7);
    assert_int_equal(options.consul.check_interval_ms, 5000);
    options_fini(&options);
}

static void warns_of_unknown_variables_with_the_prefix_only(void **state)
{
    (void)state;
    struct options options =
        read_well(read_options(NO_ARGS, ENV("FABIO_NO_SUCH=1", "NO_SUCH=1", "FABIO_=1")));
    assert_int_equal(options_warning_count(&options), 1);
    assert_str(options_warning_at(&options, 0),
               "environment FABIO_NO_SUCH: there is no such option");
    options_fini(&options);
}

static void warns_of_what_has_no_effect(void **state)
{
    (void)state;
    struct options options =
        read_well(read_options(ARGS("-runtime.gogc=200", "-bgp.enabled", "-glob.cache.size=1000",
                                    "-metrics.circonus.apikey=secret", "-proxy.log.routes=all"),
                               NO_ENV));
    // A value that is the default (glob.cache.size) is not worth a line.
    assert_int_equal(options_warning_count(&options), 4);
    bool has_secret = false, names_alternative = false;
    for (size_t i = 0; i < options_warning_count(&options); i++) {
        struct str text = options_warning_at(&options, i);
        has_secret |= str_find(text, STR("secret")) >= 0;
        names_alternative |= str_find(text, STR("bird or exabgp")) >= 0;
    }
    assert_false(has_secret);
    assert_true(names_alternative);
    assert_int_equal(options.feed.log_format, ROUTES_LOG_ALL); // the old name still works
    options_fini(&options);
}

static void listeners_have_their_options(void **state)
{
    (void)state;
    struct options options =
        read_well(read_options(ARGS("-proxy.addr",
                                    "127.0.0.1:1;rt=1s;wt=2s;it=3s;tlsmin=tls12,"
                                    ":2;proto=http;pxyproto=false,addr=[::1]:3;rt=5s",
                                    "-proxy.writetimeout=9s", "-proxy.readtimeout=8s"),
                               NO_ENV));
    const struct listener_config *at = options.proxy.listeners;
    assert_int_equal(options.proxy.listener_count, 3);
    assert_int_equal(at[0].read_timeout_ms, 1000);
    assert_int_equal(at[0].write_timeout_ms, 2000);
    assert_int_equal(at[0].idle_timeout_ms, 3000);
    assert_int_equal(at[1].read_timeout_ms, 8000);
    assert_int_equal(at[1].write_timeout_ms, 9000);
    assert_int_equal(at[1].idle_timeout_ms, 8000); // falls back to rt
    assert_str(at[2].addr, "[::1]:3");
    assert_int_equal(at[2].idle_timeout_ms, 5000);
    options_fini(&options);

    options = read_well(read_options(ARGS("-proxy.addr="), NO_ENV));
    assert_int_equal(options.proxy.listener_count, 0);
    options_fini(&options);
}

static void trusted_nets_are_read(void **state)
{
    (void)state;
    struct options options =
        read_well(read_options(ARGS("-proxy.trusted", "192.0.2.0/24, 2001:db8::/32"), NO_ENV));
    assert_int_equal(options.proxy.trusted_count, 2);
    assert_int_equal(options.proxy.trusted[0].bits, 120);
    assert_int_equal(options.proxy.trusted[1].bits, 32);
    options_fini(&options);
    options = read_well(read_options(ARGS("-proxy.trusted="), NO_ENV));
    assert_int_equal(options.proxy.trusted_count, 0);
    options_fini(&options);
}

static void access_log_needs_a_target(void **state)
{
    (void)state;
    static const char *const FORMATS[] = {"-log.access.format=common",
                                          "-log.access.format=combined", "-log.access.format=json",
                                          "-log.access.format=$request_method $header.X-A"};
    for (size_t i = 0; i < ARRAY_LEN(FORMATS); i++) {
        struct options options =
            read_well(read_options(ARGS(FORMATS[i], "-log.access.target", "stdout"), NO_ENV));
        assert_non_null(options.proxy.access_log);
        options_fini(&options);
        options = read_well(read_options(ARGS(FORMATS[i]), NO_ENV));
        assert_null(options.proxy.access_log);
        options_fini(&options);
    }
}

static void sts_is_composed(void **state)
{
    (void)state;
    struct options options =
        read_well(read_options(ARGS("-proxy.header.sts.maxage=60", "-proxy.header.sts.subdomains",
                                    "-proxy.header.sts.preload"),
                               NO_ENV));
    assert_str(options.proxy.sts_value, "max-age=60; includeSubdomains; preload");
    options_fini(&options);
}

static void consul_addresses_are_normalised(void **state)
{
    (void)state;
    static const struct {
        const char *given;
        const char *want;
    } CASES[] = {{"-registry.consul.addr=Consul.Example:8500", "consul.example:8500"},
                 {"-registry.consul.addr=HTTPS://Consul:8501/v1/x", "https://consul:8501"},
                 {"-registry.consul.addr=http://consul", "http://consul"},
                 {"-registry.consul.addr=consul:8500/x", "consul:8500"},
                 {"-registry.consul.addr=unix:///Run/Consul.sock", "unix:///Run/Consul.sock"}};
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct options options = read_well(read_options(ARGS(CASES[i].given), NO_ENV));
        assert_str(options.consul.addr, CASES[i].want);
        options_fini(&options);
    }
}

static void registration_has_an_address(void **state)
{
    (void)state;
    struct options options =
        read_well(read_options(ARGS("-ui.addr=127.0.0.1:7", "-ui.path=/base/"), NO_ENV));
    assert_str(options.consul.register_addr, "127.0.0.1:7");
    assert_str(options.admin.path, "/base");
    options_fini(&options);
    options = read_well(
        read_options(ARGS("-registry.consul.register.addr={{GetInterfaceIP \"lo\"}}:8"), NO_ENV));
    assert_str(options.consul.register_addr, "127.0.0.1:8");
    options_fini(&options);
    options =
        read_well(read_options(ARGS("-registry.consul.register.addr=[2001:db8::1]:8"), NO_ENV));
    assert_str(options.consul.register_addr, "[2001:db8::1]:8");
    options_fini(&options);
}

static void consistency_follows_what_is_said(void **state)
{
    (void)state;
    struct options options =
        read_well(read_options(ARGS("-registry.consul.requireConsistent"), NO_ENV));
    assert_true(options.consul.is_consistent);
    assert_false(options.consul.allows_stale);
    options_fini(&options);
    options = read_well(read_options(ARGS("-registry.consul.allowStale=false"), NO_ENV));
    assert_false(options.consul.is_consistent);
    assert_false(options.consul.allows_stale);
    options_fini(&options);
}

static void other_keys_reach_their_fields(void **state)
{
    (void)state;
    struct options options = read_well(read_options(
        ARGS("-registry.backend=static", "-registry.static.routes=route add a /a http://h:1/",
             "-metrics.target=prometheus", "-proxy.weightzero=none",
             "-proxy.localip={{ GetInterfaceIP \"lo\" }}", "-ui.access=rw", "-log.level=debug",
             "-registry.timeout=3s", "-registry.consul.unhealthyroute=failopen",
             "-registry.consul.checksRequired=all", "-ui.ready.maxage=1m"),
        NO_ENV));
    assert_int_equal(options.backend, BACKEND_STATIC);
    assert_str(options.static_routes.routes, "route add a /a http://h:1/");
    assert_true(options.feed.routes.is_weight_zero_none);
    assert_str(options.proxy.compose.local_ip, "127.0.0.1");
    assert_int_equal(options.admin.access, UI_ACCESS_RW);
    assert_int_equal(options.log_level, LOG_DEBUG);
    assert_int_equal(options.registry_timeout_ms, 3000);
    assert_int_equal(options.consul.unhealthy_routes, UNHEALTHY_FAILOPEN);
    assert_int_equal(options.consul.checks_required, CHECKS_ALL);
    assert_int_equal(options.admin.stale_ready_ms, 60000);
    options_fini(&options);
    options = read_well(read_options(ARGS("-proxy.localip="), NO_ENV));
    assert_int_equal(options.proxy.compose.local_ip.len, 0);
    options_fini(&options);
}

static void version_and_help_rule(void **state)
{
    (void)state;
    static const char *const CASES[] = {"-v", "--v",   "-version", "--version",
                                        "-h", "-help", "--help"};
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct options options =
            read_well(read_options(ARGS("-proxy.maxconn=bad", CASES[i]), ENV("UI_ADDR=bad")));
        assert_int_equal(options.shows_version, i < 4);
        assert_int_equal(options.shows_help, i >= 4);
        options_fini(&options);
    }
    // A variable of that name is somebody else's.
    struct options options =
        read_well(read_options(NO_ARGS, ENV("VERSION=2", "V=1", "CFG=x", "HELP=x")));
    assert_false(options.shows_version);
    options_fini(&options);
}

static void file_knows_variables_and_quotes(void **state)
{
    (void)state;
    struct options options = read_well(read_options_file(
        "domain = example.com\nui.title = ${domain} ${WHERE}\nproxy.strategy = rr \n"
        "registry.static.routes = a\\n\\\n  b\n",
        NO_ARGS, ENV("WHERE=here")));
    assert_str(options.admin.title, "example.com here");
    assert_str(options.static_routes.routes, "a\nb");
    options_fini(&options);

    char path[] = P_tmpdir "/tagway-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    char quoted[64];
    snprintf(quoted, sizeof quoted, "-cfg='%s'", path);
    options = read_well(read_options(ARGS(quoted), NO_ENV));
    options_fini(&options);
    unlink(path);
}

static const cJSON *at(const cJSON *json, const char *path)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s", path);
    char *save = NULL;
    for (char *name = strtok_r(copy, ".", &save); name && json; name = strtok_r(NULL, ".", &save))
        json = cJSON_GetObjectItemCaseSensitive(json, name);
    return json;
}

static bool has_equal_names(const cJSON *json)
{
    for (const cJSON *a = json->child; a; a = a->next) {
        for (const cJSON *b = a->next; b; b = b->next) {
            if (a->string && strcmp(a->string, b->string) == 0)
                return true;
        }
        if (has_equal_names(a))
            return true;
    }
    return false;
}

static void json_has_fabios_shape_without_secrets(void **state)
{
    (void)state;
    struct options options = read_well(read_options(
        ARGS("-registry.consul.token=hush-1", "-metrics.circonus.apikey=hush-2",
             "-registry.custom.queryparams=hush-3", "-bgp.peers=address=1.2.3.4;password=hush-4",
             "-ui.title=<\"x\">", "-registry.consul.addr=https://c:1",
             "-proxy.addr=:1;rt=1s;tlsmin=TLS12;tlsciphers=\"tls_aes_128_gcm_sha256, 0x1302\"",
             "-proxy.cs=cs=a;type=vault;cert=secret/a;vaultfetchtoken=hush-5;hdr=X-Key: hush-6,"
             "cs=b;type=consul;cert=http://c/v1/kv/b?token=hush-7;refresh=9s"),
        NO_ENV));
    struct buf out;
    buf_init(&out, 1 << 20);
    options_print_json(&options, &out);
    assert_int_equal(buf_status(&out), 0);
    buf_append_char(&out, '\0');
    assert_null(strstr(out.ptr, "hush"));
    cJSON *json = cJSON_Parse(out.ptr);
    assert_non_null(json);
    assert_false(has_equal_names(json));
    assert_string_equal(json->child->string, "Log");
    assert_string_equal(at(json, "Registry.Consul.Token")->valuestring, "***");
    assert_string_equal(at(at(json, "BGP.Peers")->child, "Password")->valuestring, "***");
    assert_string_equal(at(at(json, "BGP.Peers")->child, "NeighborAddress")->valuestring,
                        "1.2.3.4");
    assert_string_equal(at(json, "Registry.Consul.Addr")->valuestring, "c:1");
    assert_string_equal(at(json, "Registry.Consul.Scheme")->valuestring, "https");
    const cJSON *source = at(json, "CertSources")->child;
    assert_string_equal(at(source, "VaultFetchToken")->valuestring, "***");
    assert_string_equal(at(source, "Header.X-Key")->child->valuestring, "***");
    assert_true(at(source, "Refresh")->valuedouble == 3e9);
    assert_string_equal(at(source->next, "CertPath")->valuestring, "http://c/v1/kv/b?***");
    assert_true(at(source->next, "Refresh")->valuedouble == 0); // it waits for changes
    assert_string_equal(at(json, "UI.Title")->valuestring, "<\"x\">");
    assert_true(at(json, "Proxy.DialTimeout")->valuedouble == 30e9);
    assert_true(cJSON_IsObject(at(json, "Proxy.AuthSchemes")));
    assert_string_equal(at(json, "Metrics.Target")->valuestring, "");
    assert_true(cJSON_IsNull(at(json, "Registry.Consul.ServiceTags")));
    assert_true(cJSON_IsFalse(at(json, "Insecure")));
    assert_int_equal(cJSON_GetArraySize(at(json, "Metrics.Prometheus.Buckets")), 11);
    assert_string_equal(at(json, "Registry.Consul.ServiceStatus")->child->valuestring, "passing");
    const cJSON *listener = at(json, "Listen")->child;
    assert_string_equal(at(listener, "Addr")->valuestring, ":1");
    assert_string_equal(at(listener, "Proto")->valuestring, "http");
    assert_int_equal(at(listener, "TLSMinVersion")->valueint, 0x303);
    assert_int_equal(at(listener, "TLSCiphers")->child->valueint, 0x1301);
    assert_int_equal(at(listener, "TLSCiphers")->child->next->valueint, 0x1302);
    assert_string_equal(at(listener, "CertSource.Name")->valuestring, "");
    assert_true(at(at(json, "Listen")->child, "ReadTimeout")->valuedouble == 1e9);
    assert_string_equal(at(json, "UI.Listen.Addr")->valuestring, ":9998");
    cJSON_Delete(json);
    buf_fini(&out);
    options_fini(&options);
}

static void workers_have_a_source(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *variable;
        unsigned count;
        const char *source;
    } CASES[] = {
        {"-insecure", "X=1", 0, "the CPUs it may use"},
        {"-insecure", "GOMAXPROCS=3", 3, "environment GOMAXPROCS"},
        {"-runtime.gomaxprocs=2", "X=1", 2, "flag -runtime.gomaxprocs"},
        {"-runtime.gomaxprocs=2", "GOMAXPROCS=3", 3, "environment GOMAXPROCS"},
        {"-runtime.gomaxprocs=2", "GOMAXPROCS=many", 2, "flag -runtime.gomaxprocs"},
        {"-proxy.workers=1", "GOMAXPROCS=3", 1, "flag -proxy.workers"},
        {"-runtime.gomaxprocs=1000", "X=1", WORKERS_MAX, "flag -runtime.gomaxprocs"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct options options =
            read_well(read_options(ARGS(CASES[i].flag), ENV(CASES[i].variable)));
        assert_int_equal(options.proxy.worker_count, CASES[i].count);
        assert_str(options.worker_source, CASES[i].source);
        options_fini(&options);
    }
}

static void survives_shortage(void **state)
{
    (void)state;
    for (int64_t allowed = 0;; allowed++) {
        mem_fail_after(allowed);
        struct reading reading = read_options_file(
            "ui.title=${WHERE}\nruntime.gogc=1\n",
            ARGS("-proxy.header.sts.maxage=1", "-proxy.addr={{GetInterfaceIP \"lo\"}}:1"),
            ENV("WHERE=x", "FABIO_UI_COLOR=red", "FABIO_UNKNOWN=1"));
        mem_fail_after(-1);
        int rc = reading.rc;
        assert_true(rc == 0 || rc == ERR_NOMEM || strstr(reading.err.text, "out of memory"));
        options_fini(&reading.options);
        if (rc == 0)
            break;
    }
    struct buf out;
    buf_init(&out, 1000);
    mem_fail_after(0);
    options_print_help(&out);
    options_print_markdown(&out);
    mem_fail_after(-1);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_documented_defaults),
        cmocka_unit_test(flags_take_fabios_forms),
        cmocka_unit_test(precedence_is_flag_prefix_bare_file_default),
        cmocka_unit_test(environment_ignores_case),
        cmocka_unit_test(warns_of_unknown_variables_with_the_prefix_only),
        cmocka_unit_test(warns_of_what_has_no_effect),
        cmocka_unit_test(listeners_have_their_options),
        cmocka_unit_test(trusted_nets_are_read),
        cmocka_unit_test(access_log_needs_a_target),
        cmocka_unit_test(sts_is_composed),
        cmocka_unit_test(consul_addresses_are_normalised),
        cmocka_unit_test(registration_has_an_address),
        cmocka_unit_test(consistency_follows_what_is_said),
        cmocka_unit_test(other_keys_reach_their_fields),
        cmocka_unit_test(version_and_help_rule),
        cmocka_unit_test(file_knows_variables_and_quotes),
        cmocka_unit_test(json_has_fabios_shape_without_secrets),
        cmocka_unit_test(workers_have_a_source),
        cmocka_unit_test(survives_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
