// SPDX-License-Identifier: Apache-2.0
#include "discover/json.h"

#include "base/err.h"
#include "base/mem.h"

// All allocations of cJSON in this layer go through base/mem; cJSON's hooks are global, and
// mem_free frees what its default hooks allocated, so setting them again and again is harmless.
static void use_own_memory(void)
{
    cJSON_Hooks hooks = {.malloc_fn = mem_alloc, .free_fn = mem_free};
    cJSON_InitHooks(&hooks);
}

// A copy of text in which each \u0000 is \uFFFD, or NULL when there is none or memory is short.
static char *without_nul(struct str text, int *error)
{
    static const struct str NUL_ESCAPE = {"\\u0000", 6};
    *error = 0;
    if (str_find(text, NUL_ESCAPE) < 0)
        return NULL;
    char *copy = str_dup(text);
    if (!copy) {
        *error = ERR_NOMEM;
        return NULL;
    }
    for (size_t i = 0; i + NUL_ESCAPE.len <= text.len; i++) {
        if (copy[i] != '\\')
            continue;
        if (memcmp(copy + i, NUL_ESCAPE.ptr, NUL_ESCAPE.len) == 0)
            memcpy(copy + i, "\\uFFFD", NUL_ESCAPE.len);
        i++; // the escaped byte, which may be a backslash
    }
    return copy;
}

// cJSON does not say whether it lacked memory. A failure without room for another small block is
// taken as shortage: better to try again than to call a good answer bad.
static int parse_error(void)
{
    void *probe = mem_alloc(1);
    if (!probe)
        return ERR_NOMEM;
    mem_free(probe);
    return ERR_INVALID;
}

static struct str skip_space(struct str text)
{
    size_t at = 0;
    while (at < text.len && (text.ptr[at] == ' ' || text.ptr[at] == '\t' || text.ptr[at] == '\n' ||
                             text.ptr[at] == '\r'))
        at++;
    return str_from(text, at);
}

// Parses the value at the start of text and moves text behind it.
static cJSON *parse_prefix(struct str *text, int *error)
{
    const char *end = NULL;
    cJSON *value = cJSON_ParseWithLengthOpts(text->ptr, text->len, &end, false);
    if (!value) {
        *error = parse_error();
        return NULL;
    }
    *text = skip_space(str_from(*text, (size_t)(end - text->ptr)));
    return value;
}

cJSON *json_parse(struct str text, int *error)
{
    use_own_memory();
    char *copy = without_nul(text, error);
    if (*error < 0)
        return NULL;
    struct str rest = copy ? str_make(copy, text.len) : text;
    cJSON *value = parse_prefix(&rest, error);
    mem_free(copy);
    if (value && rest.len > 0) {
        cJSON_Delete(value);
        *error = ERR_INVALID;
        return NULL;
    }
    return value;
}

cJSON *json_parse_member(struct str text, cJSON **holder, int *error)
{
    use_own_memory();
    char *copy = without_nul(text, error);
    if (*error < 0)
        return NULL;
    struct str rest = copy ? str_make(copy, text.len) : text;
    cJSON *value = NULL;
    *holder = parse_prefix(&rest, error);
    if (*holder && cJSON_IsString(*holder) && rest.len > 0 && rest.ptr[0] == ':') {
        rest = skip_space(str_from(rest, 1));
        value = parse_prefix(&rest, error);
        if (value && rest.len > 0) {
            cJSON_Delete(value);
            value = NULL;
            *error = ERR_INVALID;
        }
    } else if (*holder) {
        *error = ERR_INVALID;
    }
    mem_free(copy);
    if (!value) {
        cJSON_Delete(*holder);
        *holder = NULL;
    }
    return value;
}

int json_answer_error(struct err *err, int status, const char *what)
{
    if (status == ERR_INVALID)
        return err_set(err, status, "%s: not the JSON that was expected", what);
    return err_set(err, status, "%s: %s", what, err_text(status));
}

struct str json_text(const cJSON *object, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(member) ? str_of(member->valuestring) : STR_NULL;
}

const cJSON *json_object(const cJSON *object, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsObject(member) ? member : NULL;
}

const cJSON *json_array(const cJSON *object, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsArray(member) ? member : NULL;
}

uint64_t json_number(const cJSON *object, const char *name, uint64_t max)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(member))
        return 0;
    double value = member->valuedouble;
    if (!(value >= 0) || value > (double)max || value > 9007199254740992.0)
        return 0;
    uint64_t whole = (uint64_t)value;
    return (double)whole == value ? whole : 0;
}
