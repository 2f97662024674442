// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target once over every file of the directory given: the corpus as a plain test. A
// missing or empty directory is a failure, so that a lost corpus cannot pass unnoticed. A target
// that defines fuzz_survives_shortage is run again for each input with one allocation after the
// other failing.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { SHORTAGES_MAX = 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) extern const int fuzz_survives_shortage;

static void run_input(const uint8_t *bytes, size_t len)
{
    LLVMFuzzerTestOneInput(bytes, len);
    for (int n = 0; n < SHORTAGES_MAX && &fuzz_survives_shortage; n++) {
        mem_fail_after(n);
        LLVMFuzzerTestOneInput(bytes, len);
        mem_fail_after(-1);
    }
}

// Whether the file could be read and was run.
static int run_file(const char *dir, const char *name)
{
    char path[4096];
    int len = snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (len < 0 || (size_t)len >= sizeof(path))
        return 0;
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0;
    if (fseek(file, 0, SEEK_END) != 0)
        goto fail;
    long size = ftell(file);
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0)
        goto fail;
    // Exactly as large as the input, so that a sanitizer sees every read beyond it.
    uint8_t *bytes = malloc(size ? (size_t)size : 1);
    if (!bytes)
        goto fail;
    size_t got = fread(bytes, 1, (size_t)size, file);
    fclose(file);
    if (got == (size_t)size)
        run_input(bytes, got);
    free(bytes);
    return got == (size_t)size;

fail:
    fclose(file);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s <corpus directory>\n", argv[0]);
        return 2;
    }
    DIR *dir = opendir(argv[1]);
    if (!dir) {
        perror(argv[1]);
        return 1;
    }
    unsigned count = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        if (!run_file(argv[1], entry->d_name)) {
            fprintf(stderr, "%s/%s: cannot read\n", argv[1], entry->d_name);
            closedir(dir);
            return 1;
        }
        count++;
    }
    closedir(dir);
    printf("%u inputs\n", count);
    return count ? 0 : 1;
}
