// SPDX-License-Identifier: Apache-2.0
// Preloaded into a tagway under test (LD_PRELOAD): makes chosen system calls on TCP sockets,
// socket() itself, opening of files and the heap of the program fail or be short. What fails and
// when stands in a file of 64-bit numbers that is shared with the test (TAGWAY_FAULTS_FILE, see
// faults.py), so one process serves a whole sweep. Built without malloc's faults (-DFAULTS_NO_HEAP)
// for sanitizers, which have that door themselves.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum call {
    CALL_READ,
    CALL_READV,
    CALL_RECV,
    CALL_WRITE,
    CALL_WRITEV,
    CALL_SEND,
    CALL_SENDMSG,
    CALL_ACCEPT,
    CALL_CONNECT,
    CALL_SOCKET,
    CALL_OPEN,
    CALL_HEAP,
    CALL_SPLICE,
    CALL_PIPE,
    CALL_COUNT,
};

enum mode { MODE_OFF, MODE_EVERY, MODE_ONCE, MODE_CHANCE };
enum threads { THREADS_ALL, THREADS_WORKERS, THREADS_CONTROL };

// In the order of faults.py.
struct control {
    _Atomic uint64_t mode;
    _Atomic uint64_t calls;    // bits of enum call
    _Atomic uint64_t error;    // errno; 0: one byte only
    _Atomic uint64_t n;        // EVERY, ONCE: which call; CHANCE: of a million
    _Atomic uint64_t seed;     // CHANCE: changes with each call
    _Atomic uint64_t threads;  // enum threads
    _Atomic uint64_t counted;  // calls that could have failed
    _Atomic uint64_t injected; // that did
};

static struct control *control;
static uintptr_t program_start, program_end;

static int find_program(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
            continue;
        program_start = info->dlpi_addr + header->p_vaddr;
        program_end = program_start + header->p_memsz;
    }
    return 1; // the program itself comes first
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("TAGWAY_FAULTS_FILE");
    if (!path)
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    dl_iterate_phdr(find_program, NULL);
    if (shared != MAP_FAILED)
        control = shared;
}

static bool is_our_thread(void)
{
    uint64_t threads = atomic_load(&control->threads);
    bool is_control = syscall(SYS_gettid) == getpid();
    return threads == THREADS_ALL || (threads == THREADS_CONTROL) == is_control;
}

// splitmix64, public domain.
static uint64_t next_random(void)
{
    uint64_t x = atomic_fetch_add(&control->seed, 0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

// Whether this call is to fail.
static bool must_fail(enum call call)
{
    if (!control)
        return false;
    uint64_t mode = atomic_load(&control->mode);
    if (mode == MODE_OFF || !(atomic_load(&control->calls) >> call & 1) || !is_our_thread())
        return false;
    uint64_t number = atomic_fetch_add(&control->counted, 1) + 1;
    uint64_t n = atomic_load(&control->n);
    bool is_due = (mode == MODE_EVERY && n && number % n == 0) ||
                  (mode == MODE_ONCE && number == n) ||
                  (mode == MODE_CHANCE && next_random() % 1000000 < n);
    if (is_due)
        atomic_fetch_add(&control->injected, 1);
    return is_due;
}

// Pipes and event counters between threads are not what fails.
static bool is_tcp(int fd)
{
    int value;
    socklen_t len = sizeof value;
    int before = errno;
    bool is_inet = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &len) == 0 &&
                   (value == AF_INET || value == AF_INET6) &&
                   getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len) == 0 && value == SOCK_STREAM;
    errno = before;
    return is_inet;
}

static bool must_fail_on(enum call call, int fd)
{
    return control && atomic_load(&control->mode) != MODE_OFF && is_tcp(fd) && must_fail(call);
}

static bool is_short(void)
{
    return atomic_load(&control->error) == 0;
}

static int fail(void)
{
    errno = (int)atomic_load(&control->error);
    return -1;
}

// A peer that takes nothing any more has ended, or has reset the connection: the kernel then lets
// who reads hear of it, too.
static int fail_writing(int fd)
{
    uint64_t error = atomic_load(&control->error);
    if (error == EPIPE || error == ECONNRESET)
        shutdown(fd, SHUT_RD);
    return fail();
}

// libuv takes a short read for the last one when both directions have ended, and rightly so: the
// kernel then gives all it has.
static size_t shorten_read(int fd, size_t len)
{
    struct pollfd end = {.fd = fd, .events = 0};
    int before = errno;
    bool has_ended = poll(&end, 1, 0) == 1 && (end.revents & POLLHUP);
    errno = before;
    return has_ended ? len : len > 0;
}

#define NEXT(name)                 \
    static __typeof__(name) *next; \
    if (!next)                     \
    next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t read(int fd, void *bytes, size_t len)
{
    NEXT(read);
    if (must_fail_on(CALL_READ, fd)) {
        if (!is_short())
            return fail();
        len = shorten_read(fd, len);
    }
    return next(fd, bytes, len);
}

// The first byte of the parts.
static struct iovec first_byte(const struct iovec *parts, int count)
{
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > 0)
            return (struct iovec){parts[i].iov_base, 1};
    }
    return (struct iovec){0};
}

ssize_t readv(int fd, const struct iovec *parts, int count)
{
    NEXT(readv);
    struct iovec one = first_byte(parts, count);
    if (must_fail_on(CALL_READV, fd)) {
        if (!is_short())
            return fail();
        return next(fd, &one, 1);
    }
    return next(fd, parts, count);
}

ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
    NEXT(recv);
    if (must_fail_on(CALL_RECV, fd)) {
        if (!is_short())
            return fail();
        len = len > 0;
    }
    return next(fd, bytes, len, flags);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    NEXT(write);
    if (must_fail_on(CALL_WRITE, fd)) {
        if (!is_short())
            return fail_writing(fd);
        len = len ? 1 : 0;
    }
    return next(fd, bytes, len);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    NEXT(writev);
    struct iovec one = first_byte(parts, count);
    if (must_fail_on(CALL_WRITEV, fd)) {
        if (!is_short())
            return fail_writing(fd);
        return next(fd, &one, 1);
    }
    return next(fd, parts, count);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    NEXT(send);
    if (must_fail_on(CALL_SEND, fd)) {
        if (!is_short())
            return fail_writing(fd);
        len = len ? 1 : 0;
    }
    return next(fd, bytes, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    NEXT(sendmsg);
    struct iovec one = first_byte(message->msg_iov, (int)message->msg_iovlen);
    struct msghdr first = {.msg_iov = &one, .msg_iovlen = 1};
    if (must_fail_on(CALL_SENDMSG, fd)) {
        if (!is_short())
            return fail_writing(fd);
        return next(fd, &first, flags);
    }
    return next(fd, message, flags);
}

// Those that a program makes by number.
long syscall(long number, ...)
{
    NEXT(syscall);
    va_list args;
    long words[6];
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        words[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_recvfrom && words[4] == 0)
        return recv((int)words[0], (void *)words[1], (size_t)words[2], (int)words[3]);
    if (number == SYS_sendto && words[4] == 0)
        return send((int)words[0], (const void *)words[1], (size_t)words[2], (int)words[3]);
    return next(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    NEXT(accept4);
    return must_fail_on(CALL_ACCEPT, fd) ? fail() : next(fd, addr, len, flags);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    NEXT(connect);
    return must_fail_on(CALL_CONNECT, fd) ? fail() : next(fd, addr, len);
}

int socket(int domain, int type, int protocol)
{
    NEXT(socket);
    if ((domain == AF_INET || domain == AF_INET6) && must_fail(CALL_SOCKET))
        return fail();
    return next(domain, type, protocol);
}

ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t len, unsigned flags)
{
    NEXT(splice);
    bool is_read = control && is_tcp(in);
    if (must_fail_on(CALL_SPLICE, is_read ? in : out)) {
        if (!is_short())
            return is_read ? fail() : fail_writing(out);
        len = is_read ? shorten_read(in, len) : len > 0;
    }
    return next(in, in_at, out, out_at, len, flags);
}

// libuv aborts without its own.
int pipe2(int ends[2], int flags)
{
    NEXT(pipe2);
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    bool is_ours = caller >= program_start && caller < program_end;
    return is_ours && must_fail(CALL_PIPE) ? fail() : next(ends, flags);
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    NEXT(open);
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return must_fail(CALL_OPEN) ? fail() : next(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    NEXT(open64);
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return must_fail(CALL_OPEN) ? fail() : next(path, flags, mode);
}

#ifndef FAULTS_NO_HEAP
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);

// Only what the program asks for through base/mem: libuv and others abort when memory is short.
static bool is_heap_due(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    return control && atomic_load(&control->mode) != MODE_OFF && at >= program_start &&
           at < program_end && must_fail(CALL_HEAP);
}

void *malloc(size_t size)
{
    return is_heap_due(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return is_heap_due(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *ptr, size_t size)
{
    return is_heap_due(__builtin_return_address(0)) ? NULL : __libc_realloc(ptr, size);
}
#endif
