// SPDX-License-Identifier: Apache-2.0
//
// A file that changes (its time, size or inode) is read again. One that vanishes lets nobody in
// until it is back, as in fabio; one that is there and cannot be read leaves the users as they are.
// Both are told once, when they begin, and listed as long as they last.
#include "auth_files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

enum file_state {
    FILE_READ,       // the users are those of the file
    FILE_VANISHED,   // nobody may pass
    FILE_UNREADABLE, // the users are those of the version before
};

struct stamp {
    int64_t seconds, nanoseconds, inode, size;
};

struct auth_file {
    const struct auth_scheme_config *config;
    struct stamp stamp; // of the version read
    enum file_state state;
    bool is_to_be_offered; // new users that were not taken yet
    uint64_t due_ms;
};

struct auth_files {
    struct problems *problems; // borrowed
    unsigned count;
    struct auth_file files[AUTH_SCHEMES_MAX];
    struct htpasswd *users[AUTH_SCHEMES_MAX]; // referenced
};

static bool stamp_of(const char *path, struct stamp *stamp)
{
    struct stat now;
    if (stat(path, &now) != 0)
        return false;
    *stamp = (struct stamp){now.st_mtim.tv_sec, now.st_mtim.tv_nsec, (int64_t)now.st_ino,
                            (int64_t)now.st_size};
    return true;
}

static bool stamp_eq(const struct stamp *a, const struct stamp *b)
{
    return a->seconds == b->seconds && a->nanoseconds == b->nanoseconds && a->inode == b->inode &&
           a->size == b->size;
}

struct reading {
    struct auth_files *files;
    const struct auth_file *file;
};

static void add_problem(struct auth_files *files, const struct auth_file *file, uint32_t line,
                        const char *reason)
{
    char instance[300];
    int len = line ? snprintf(instance, sizeof instance, "%s line %u", file->config->file, line)
                   : snprintf(instance, sizeof instance, "%s", file->config->file);
    problems_add(
        files->problems,
        &(struct problem){.source = STR("auth"),
                          .instance = str_make(instance, MIN((size_t)len, sizeof instance - 1)),
                          .reason = str_of(reason),
                          .is_lost = true});
}

static void on_bad_line(void *ctx, uint32_t line, const char *reason)
{
    const struct reading *reading = ctx;
    log_warn("proxy.auth: %s line %u: %s; the line is left out", reading->file->config->file, line,
             reason);
    add_problem(reading->files, reading->file, line, reason);
}

static void begin_problems(struct auth_files *files, const struct auth_file *file)
{
    char scope[300];
    int len = snprintf(scope, sizeof scope, "auth/%.*s", STR_FMT(file->config->name));
    problems_begin(files->problems, str_make(scope, MIN((size_t)len, sizeof scope - 1)));
}

// Reads the file; NULL and err when it cannot be. Its problems have been begun.
static struct htpasswd *read_users(struct auth_files *files, struct auth_file *file,
                                   struct err *err)
{
    struct reading reading = {files, file};
    return htpasswd_load(file->config->file, on_bad_line, &reading, err);
}

struct auth_files *auth_files_new(const struct proxy_config *config, struct problems *problems,
                                  struct err *err)
{
    struct auth_files *files = mem_zalloc(sizeof *files);
    if (!files) {
        err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
        return NULL;
    }
    files->problems = problems;
    for (unsigned i = 0; i < config->auth_count; i++) {
        struct auth_file *file = &files->files[i];
        file->config = &config->auth[i];
        files->count++;
        stamp_of(file->config->file, &file->stamp); // before it is read
        begin_problems(files, file);
        files->users[i] = read_users(files, file, err);
        problems_end(problems);
        if (!files->users[i]) {
            err_wrap(err, "proxy.auth: auth '%.*s'", STR_FMT(file->config->name));
            auth_files_free(files);
            return NULL;
        }
    }
    return files;
}

void auth_files_free(struct auth_files *files)
{
    if (!files)
        return;
    for (unsigned i = 0; i < files->count; i++)
        htpasswd_unref(files->users[i]);
    mem_free(files);
}

void auth_files_replace(struct auth_files *before, const struct auth_files *files)
{
    for (unsigned i = 0; i < before->count; i++) {
        bool is_kept = false;
        for (unsigned k = 0; k < files->count; k++)
            is_kept |= str_eq(files->files[k].config->name, before->files[i].config->name);
        if (is_kept)
            continue;
        begin_problems(before, &before->files[i]);
        problems_end(before->problems);
    }
    auth_files_free(before);
}

struct htpasswd *const *auth_files_users(const struct auth_files *files)
{
    return files->users;
}

// Between begin and end of the file's problems.
static void tell(struct auth_files *files, const struct auth_file *file, const char *what,
                 bool is_new)
{
    char reason[400];
    snprintf(reason, sizeof reason, "%s; %s", what,
             file->state == FILE_VANISHED ? "nobody may pass until it can be read"
                                          : "the users before stay");
    add_problem(files, file, 0, reason);
    if (is_new)
        log_warn("proxy.auth: %s: %s", file->config->file, reason);
}

static void replace(struct auth_files *files, unsigned i, struct htpasswd *users)
{
    htpasswd_unref(files->users[i]);
    files->users[i] = users;
    files->files[i].is_to_be_offered = true;
}

static void on_vanished(struct auth_files *files, unsigned i)
{
    struct auth_file *file = &files->files[i];
    if (file->state == FILE_VANISHED)
        return;
    struct htpasswd *nobody = htpasswd_parse(STR(""), NULL, NULL);
    if (!nobody)
        return; // next time
    const char *what = strerror(errno);
    file->state = FILE_VANISHED;
    replace(files, i, nobody);
    begin_problems(files, file);
    tell(files, file, what, true);
    problems_end(files->problems);
}

static void look_at(struct auth_files *files, unsigned i)
{
    struct auth_file *file = &files->files[i];
    struct stamp stamp;
    struct err err = {0};
    if (!stamp_of(file->config->file, &stamp)) {
        on_vanished(files, i);
        return;
    }
    if (file->state == FILE_READ && stamp_eq(&stamp, &file->stamp))
        return;
    begin_problems(files, file);
    struct htpasswd *users = read_users(files, file, &err);
    if (users) {
        file->stamp = stamp;
        file->state = FILE_READ;
        replace(files, i, users);
        log_info("proxy.auth: %s has been read again: %zu users", file->config->file,
                 htpasswd_count(users));
    } else {
        bool is_new = file->state == FILE_READ;
        if (is_new)
            file->state = FILE_UNREADABLE;
        tell(files, file, err.text, is_new);
    }
    problems_end(files->problems);
}

void auth_files_refresh(struct auth_files *files, uint64_t now_ms, auth_files_changed_fn on_changed,
                        void *ctx)
{
    for (unsigned i = 0; i < files->count; i++) {
        struct auth_file *file = &files->files[i];
        if (file->config->refresh_ms > 0 && now_ms >= file->due_ms) {
            file->due_ms = now_ms + file->config->refresh_ms;
            look_at(files, i);
        }
        if (file->is_to_be_offered && on_changed(ctx, i, files->users[i]))
            file->is_to_be_offered = false;
    }
}
