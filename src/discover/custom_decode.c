// SPDX-License-Identifier: Apache-2.0
#include "discover/custom_decode.h"

#include <math.h>

#include "base/mem.h"
#include "discover/json.h"
#include "discover/json_split.h"

// What an element is, in parts; the strings lie in the parsed JSON or in `text`.
struct element {
    struct str cmd, service, src, dst;
    double weight;
    const cJSON *tags, *opts;
};

struct decoder {
    struct custom_answer *answer;
    struct str origin;
    custom_problem_fn on_problem;
    void *ctx;
    struct buf opts; // of one element, as in a command; reused
    struct buf line; // the element as a command; reused
    struct str tags[CUSTOM_PARTS_MAX];
};

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return true;
    }
    return false;
}

static int read_text(const cJSON *member, struct str *text, struct err *err)
{
    if (cJSON_IsNull(member))
        return 0;
    if (!cJSON_IsString(member))
        return err_set(err, ERR_INVALID, "%s is not a text", member->string);
    *text = str_of(member->valuestring);
    if (has_control(*text))
        return err_set(err, ERR_INVALID, "%s has a control character", member->string);
    return 0;
}

static int read_weight(const cJSON *member, double *weight, struct err *err)
{
    if (cJSON_IsNull(member))
        return 0;
    // The limit is that of weights in commands.
    if (!cJSON_IsNumber(member) || !(fabs(member->valuedouble) <= 1e9))
        return err_set(err, ERR_INVALID, "weight is not a number up to 1e9");
    *weight = member->valuedouble;
    return 0;
}

// As Go reads a struct: names in any case, unknown ones ignored, the last of equal ones kept.
static int read_members(const cJSON *object, struct element *element, struct err *err)
{
    const struct {
        const char *name;
        struct str *text;
    } texts[] = {
        {"cmd", &element->cmd},
        {"service", &element->service},
        {"src", &element->src},
        {"dst", &element->dst},
    };
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        struct str name = str_of(member->string);
        int rc = 0;
        for (size_t i = 0; i < ARRAY_LEN(texts) && rc == 0; i++) {
            if (str_ieq(name, str_of(texts[i].name)))
                rc = read_text(member, texts[i].text, err);
        }
        if (str_ieq(name, STR("weight")))
            rc = read_weight(member, &element->weight, err);
        else if (str_ieq(name, STR("tags")))
            element->tags = member;
        else if (str_ieq(name, STR("opts")))
            element->opts = member;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int add_tag(struct decoder *decoder, struct str tag, size_t *count, struct err *err)
{
    if (has_control(tag))
        return err_set(err, ERR_INVALID, "a tag has a control character");
    if (*count == CUSTOM_PARTS_MAX)
        return err_set(err, ERR_INVALID, "more than %d tags", CUSTOM_PARTS_MAX);
    decoder->tags[(*count)++] = tag;
    return 0;
}

static int read_tags(struct decoder *decoder, const cJSON *tags, size_t *count, struct err *err)
{
    int rc = 0;
    if (!tags || cJSON_IsNull(tags))
        return 0;
    if (cJSON_IsString(tags)) {
        struct str rest = str_of(tags->valuestring), tag;
        while (rc == 0 && rest.len > 0 && str_split_next(&rest, ',', &tag))
            rc = add_tag(decoder, str_trim(tag), count, err);
        return rc;
    }
    if (!cJSON_IsArray(tags))
        return err_set(err, ERR_INVALID, "tags is neither a list nor a text");
    const cJSON *tag;
    cJSON_ArrayForEach(tag, tags)
    {
        if (!cJSON_IsString(tag))
            return err_set(err, ERR_INVALID, "a tag is not a text");
        rc = add_tag(decoder, str_of(tag->valuestring), count, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool has_space(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == ' ')
            return true;
    }
    return false;
}

// A text within the value of an option is one field; only lists of addresses may have space.
static int add_value(struct decoder *decoder, struct str key, struct str value, struct err *err)
{
    bool is_list = str_eq(key, STR("allow")) || str_eq(key, STR("deny"));
    if (has_control(value) || (!is_list && has_space(value)))
        return err_set(err, ERR_INVALID, "option %.*s: its value has white space", STR_FMT(key));
    struct str token;
    while (str_token_next(&value, &token))
        buf_append_str(&decoder->opts, token);
    return 0;
}

static int add_option(struct decoder *decoder, const cJSON *option, struct err *err)
{
    struct str key = str_of(option->string);
    if (key.len == 0 || has_space(key) || has_control(key) || str_find_char(key, '=') >= 0)
        return err_set(err, ERR_INVALID, "a name in opts is empty or has white space or '='");
    if (decoder->opts.len > 0)
        buf_append_char(&decoder->opts, ' ');
    buf_append_str(&decoder->opts, key);
    buf_append_char(&decoder->opts, '=');
    if (cJSON_IsString(option))
        return add_value(decoder, key, str_of(option->valuestring), err);
    double number = option->valuedouble;
    if (cJSON_IsBool(option))
        buf_append_cstr(&decoder->opts, cJSON_IsTrue(option) ? "true" : "false");
    else if (cJSON_IsNumber(option) && fabs(number) <= 1e15 && number == floor(number))
        buf_printf(&decoder->opts, "%.0f", number);
    else
        return err_set(err, ERR_INVALID, "option %.*s is not a text", STR_FMT(key));
    return 0;
}

static int read_opts(struct decoder *decoder, const cJSON *opts, struct err *err)
{
    buf_clear(&decoder->opts);
    if (!opts || cJSON_IsNull(opts))
        return 0;
    if (cJSON_IsString(opts)) {
        struct str text = str_of(opts->valuestring);
        if (has_control(text))
            return err_set(err, ERR_INVALID, "opts has a control character");
        buf_append_str(&decoder->opts, str_trim(text));
        return buf_status(&decoder->opts);
    }
    if (!cJSON_IsObject(opts))
        return err_set(err, ERR_INVALID, "opts is neither an object nor a text");
    size_t count = 0;
    const cJSON *option;
    cJSON_ArrayForEach(option, opts)
    {
        if (++count > CUSTOM_PARTS_MAX)
            return err_set(err, ERR_INVALID, "more than %d options", CUSTOM_PARTS_MAX);
        int rc = add_option(decoder, option, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void print_line(struct decoder *decoder, const struct element *element, size_t tag_count)
{
    struct buf *line = &decoder->line;
    const struct str words[] = {element->cmd, element->service, element->src, element->dst};
    buf_clear(line);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (words[i].len == 0)
            continue;
        if (line->len > 0)
            buf_append_char(line, ' ');
        buf_append_str(line, words[i]);
    }
    if (element->weight != 0)
        buf_printf(line, " weight %.10g", element->weight);
    for (size_t i = 0; i < tag_count; i++) {
        buf_append_cstr(line, i == 0 ? " tags \"" : ",");
        buf_append_str(line, decoder->tags[i]);
    }
    buf_append_cstr(line, tag_count > 0 ? "\"" : "");
    if (decoder->opts.len > 0) {
        buf_append_cstr(line, " opts \"");
        buf_append_str(line, buf_str(&decoder->opts));
        buf_append_char(line, '"');
    }
}

static int read_kind(struct str cmd, enum command_kind *kind, struct err *err)
{
    static const char *const NAMES[] = {"route add", "route del", "route weight"};
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        if (str_eq(cmd, str_of(NAMES[i]))) {
            *kind = (enum command_kind)i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "cmd must be route add, route del or route weight");
}

static int add_element(struct decoder *decoder, const cJSON *object, size_t index, struct err *err)
{
    struct element element = {0};
    enum command_kind kind = COMMAND_ADD;
    size_t tag_count = 0;
    buf_clear(&decoder->line);
    buf_clear(&decoder->opts);
    if (!cJSON_IsObject(object))
        return err_set(err, ERR_INVALID, "is not an object");
    int rc = read_members(object, &element, err);
    if (rc == 0)
        rc = read_tags(decoder, element.tags, &tag_count, err);
    if (rc == 0)
        rc = read_opts(decoder, element.opts, err);
    print_line(decoder, &element, tag_count);
    if (rc == 0)
        rc = read_kind(element.cmd, &kind, err);
    if (rc == 0)
        rc = buf_status(&decoder->opts);
    if (rc == 0)
        rc = buf_status(&decoder->line);
    if (rc == ERR_TOO_LARGE)
        return err_set(err, ERR_INVALID, "is longer than 64 KB");
    if (rc < 0)
        return rc;

    char instance[256];
    snprintf(instance, sizeof instance, "%.*s element %zu", STR_FMT(str_upto(decoder->origin, 200)),
             index);
    const struct route_def_spec spec = {
        .service = element.service,
        .src = element.src,
        .dst = element.dst,
        .weight = element.weight,
        .has_weight = element.weight != 0, // 0 is what Go's programs write for "none"
        .tags = decoder->tags,
        .tag_count = tag_count,
        .opts = buf_str(&decoder->opts),
        .instance = str_of(instance),
        .source_text = buf_str(&decoder->line),
    };
    return command_list_add(decoder->answer->commands, kind, &spec, (uint32_t)index, err);
}

static int on_element(void *ctx, struct str text)
{
    struct decoder *decoder = ctx;
    struct custom_answer *answer = decoder->answer;
    size_t index = answer->elements++;
    if (answer->elements > CUSTOM_ELEMENTS_MAX)
        return ERR_TOO_LARGE;
    int status = 0;
    cJSON *object = json_parse(text, &status);
    if (!object)
        return status;
    struct err err = {0};
    status = add_element(decoder, object, index, &err);
    if (status == 0) {
        buf_append_str(&answer->text, buf_str(&decoder->line));
        buf_append_char(&answer->text, '\n');
        status = buf_status(&answer->text);
    } else if (status != ERR_NOMEM) {
        answer->bad_elements++;
        if (decoder->on_problem)
            decoder->on_problem(decoder->ctx, index, buf_str(&decoder->line), err.text);
        status = 0;
    }
    cJSON_Delete(object);
    return status;
}

int custom_decode(struct str body, struct str origin, struct custom_answer *answer,
                  custom_problem_fn on_problem, void *ctx, struct err *err)
{
    *answer = (struct custom_answer){.commands = command_list_new()};
    buf_init(&answer->text, SIZE_MAX);
    struct decoder *decoder = mem_zalloc(sizeof *decoder);
    int status = ERR_NOMEM;
    if (decoder && answer->commands) {
        *decoder = (struct decoder){
            .answer = answer, .origin = origin, .on_problem = on_problem, .ctx = ctx};
        buf_init(&decoder->opts, COMMAND_LINE_MAX);
        buf_init(&decoder->line, COMMAND_LINE_MAX);
        status = json_split_all(body, '[', on_element, decoder);
        buf_fini(&decoder->opts);
        buf_fini(&decoder->line);
    }
    mem_free(decoder);
    if (status == ERR_INVALID)
        err_set(err, status, "not a JSON array of route commands");
    else if (status == ERR_TOO_LARGE)
        err_set(err, status, "nested too deeply, more than %d elements, or one that is too large",
                CUSTOM_ELEMENTS_MAX);
    else if (status < 0)
        err_set(err, status, "%s", err_text(status));
    else if (answer->bad_elements > 0 && answer->bad_elements == answer->elements)
        status =
            err_set(err, ERR_INVALID, "none of the %zu elements can be used", answer->elements);
    if (status < 0)
        custom_answer_fini(answer);
    return status;
}

void custom_answer_fini(struct custom_answer *answer)
{
    command_list_free(answer->commands);
    answer->commands = NULL;
    buf_fini(&answer->text);
}
