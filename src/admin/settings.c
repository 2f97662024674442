// SPDX-License-Identifier: Apache-2.0
#include "admin/settings.h"

#include "admin/json_write.h"
#include "admin/manual.h"

void settings_write(struct buf *out, const struct admin_config *config,
                    const struct admin_sources *sources)
{
    static const char *const ACCESS[] = {
        [UI_ACCESS_DEFAULT] = "local", [UI_ACCESS_RO] = "ro", [UI_ACCESS_RW] = "rw"};
    const struct backend *backend = sources->backend;
    const struct admin_source_links *links = &config->source_links;
    buf_append_char(out, '{');
    json_field_str(out, "version", config->version);
    json_field_str(out, "title", config->title);
    json_field_str(out, "color", config->color);
    json_field_str(out, "access", str_of(ACCESS[config->access]));
    json_field_str(out, "backend", backend ? str_of(backend->ops->name) : STR_NULL);
    json_field_bool(out, "overrides", manual_has_backend(sources));
    json_key(out, "source_links");
    buf_append_char(out, '{');
    json_field_bool(out, "enabled", links->are_enabled);
    json_field_bool(out, "newtab", links->open_tabs);
    json_field_str(out, "scheme", links->scheme);
    json_field_str(out, "host", links->host);
    json_field_str(out, "port", links->port);
    buf_append_cstr(out, "}}");
}
