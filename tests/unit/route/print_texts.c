// SPDX-License-Identifier: Apache-2.0
// print_route_texts SEED FIRST COUNT [differences]: the texts FIRST, FIRST + 1, ... of the
// generator, one JSON object a line: the text, how the model prints the table, and the targets with
// their weights. Texts carry their number in the names, see generate.h. With `differences` they
// hold what fabio answers in its own way.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generate.h"

static void print_json(const char *text)
{
    putchar('"');
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            printf("\\%c", *p);
        else if ((unsigned char)*p < 0x20)
            printf("\\u%04x", (unsigned char)*p);
        else
            putchar(*p);
    }
    putchar('"');
}

static void print_text(const struct model_line *lines, size_t count, unsigned number)
{
    static char text[GENERATE_LINES_MAX * MODEL_TEXT_MAX], raw[MODEL_LINES_MAX * MODEL_TEXT_MAX];
    static struct model model;
    generate_print(lines, count, text, sizeof text);
    model_build(&model, NULL, 0, lines, count);
    model_print(&model, raw, sizeof raw);
    printf("{\"number\":%u,\"text\":", number);
    print_json(text);
    printf(",\"raw\":");
    print_json(raw + 1);
    printf(",\"targets\":[");
    for (size_t i = 0; i < model.count; i++) {
        const struct model_target *target = &model.at[i];
        char src[sizeof target->host + sizeof target->path];
        snprintf(src, sizeof src, "%s%s", target->host, target->path);
        printf("%s[", i ? "," : "");
        print_json(target->line->service);
        putchar(',');
        print_json(src);
        putchar(',');
        print_json(target->dst);
        printf(",%.9f]", target->weight);
    }
    printf("]}\n");
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: %s SEED FIRST COUNT [differences]\n", argv[0]);
        return 1;
    }
    unsigned first = (unsigned)atoi(argv[2]), count = (unsigned)atoi(argv[3]);
    for (unsigned i = 0; i < count; i++) {
        struct model_line lines[GENERATE_LINES_MAX];
        struct generate_text how = {.has_differences = argc > 4, .number = first + i};
        struct rng rng;
        rng_init(&rng, strtoull(argv[1], NULL, 10) + first + i);
        print_text(lines, generate_text(&rng, &how, lines), first + i);
    }
    return 0;
}
