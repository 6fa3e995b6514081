/* A PID 1 in C that does one job in the straightforward way and nothing else: almost no configuration, no states, no
 * log, few error checks. It is for comparison, not for use.
 *
 * limit one PROGRAM [ARG]...        an init: starts one program, forwards TERM, reaps, exits with the program
 * limit many FILE                   starts each line of FILE, restarts each program that exits, stops all on TERM
 * limit capture text|json FILE [SOCKET]
 *                                   the same, and prints their output with a prefix or as JSON; a socket answers
 *                                   with the state of each program
 * limit ask SOCKET                  prints the socket's answer */
#include "record.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { MAX_PROGRAMS = 4096, MAX_ARGUMENTS = 16, BUFFER = 65536, SOCKET = -1, SIGNALS = -2 };

extern char **environ;

static struct program {
    char *argv[MAX_ARGUMENTS];
    pid_t pid;
    int out;
    size_t partial_length; /* of the line that has no newline yet */
    char *partial;
} programs[MAX_PROGRAMS];
static int count;
static volatile sig_atomic_t stopping;
static sigset_t signals;
static char text[1 << 20];

static void read_programs(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(file, text, sizeof text - 1);
    if (file < 0 || length < 0) die(path);
    close(file);
    char *rest = text, *line, *word;
    while ((line = strsep(&rest, "\n")) && *line && count < MAX_PROGRAMS) {
        struct program *program = &programs[count++];
        for (int i = 0; i < MAX_ARGUMENTS - 1 && (word = strsep(&line, " ")); i++) program->argv[i] = word;
    }
}

/* vfork shares the memory with the child until exec, so no page table is copied. */
static pid_t start(char **argv, int out) {
    pid_t child = vfork();
    if (child == 0) {
        sigprocmask(SIG_UNBLOCK, &signals, NULL);
        if (out >= 0) dup2(out, STDOUT_FILENO);
        execve(argv[0], argv, environ);
        _exit(127);
    }
    return child;
}

static void stop(int signal) {
    stopping = 1;
    kill(-1, signal);
}

static int one(char **argv) {
    int status;
    pid_t ended, child = start(argv, -1);
    while ((ended = wait(&status)) != child)
        if (ended < 0 && errno != EINTR) return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static struct program *find_program(pid_t pid) {
    for (int i = 0; i < count; i++)
        if (programs[i].pid == pid) return &programs[i];
    return NULL;
}

static int many(const char *path) {
    pid_t ended;
    read_programs(path);
    for (int i = 0; i < count; i++) programs[i].pid = start(programs[i].argv, -1);
    while ((ended = wait(NULL)) > 0 || errno == EINTR) {
        if (stopping || ended <= 0) continue;
        struct program *program = find_program(ended);
        if (program) program->pid = start(program->argv, -1);
    }
    return 0;
}

static void add(int poller, int fd, int key) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = ((uint64_t)(uint32_t)fd << 32) | (uint32_t)key};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) die("cannot watch");
}

static void start_captured(int poller, int index) {
    struct program *program = &programs[index];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) die("cannot make a pipe");
    program->pid = start(program->argv, ends[1]);
    program->out = ends[0];
    close(ends[1]);
    add(poller, program->out, index);
}

static void write_all(const char *from, size_t length) {
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, from, length);
        if (written < 0 && errno != EINTR) die("cannot write");
        if (written < 0) continue;
        from += written;
        length -= (size_t)written;
    }
}

static size_t stamp(char *at, int index, pid_t pid) {
    struct timespec time;
    struct tm day;
    clock_gettime(CLOCK_REALTIME, &time);
    gmtime_r(&time.tv_sec, &day);
    size_t length = strftime(at, 64, "{\"ts\":\"%Y-%m-%dT%H:%M:%S", &day);
    return length + (size_t)sprintf(at + length,
        ".%06ldZ\",\"program\":\"p%04d\",\"instance\":0,\"stream\":\"stdout\",\"pid\":%d,\"msg\":\"",
        time.tv_nsec / 1000, index, pid);
}

static char *escape(char *at, const char *line, size_t length) {
    static const char digits[] = "0123456789abcdef";
    unsigned char special = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)line[i];
        special |= (unsigned char)((byte < 0x20) | (byte == '"') | (byte == '\\') | (byte > 0x7e));
    }
    if (!special) return (char *)memcpy(at, line, length) + length;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)line[i];
        if (byte == '"' || byte == '\\') *at++ = '\\';
        if (byte >= 0x20) {
            *at++ = (char)byte;
            continue;
        }
        memcpy(at, "\\u00", 4);
        at[4] = digits[byte >> 4];
        at[5] = digits[byte & 15];
        at += 6;
    }
    return at;
}

/* Copies whole lines from one buffer to the other; a partial line waits for the next read. */
static int forward_lines(int index, int json) {
    static char in[2 * BUFFER], out[16 * BUFFER];
    struct program *program = &programs[index];
    char head[256];
    ssize_t length = read(program->out, in + BUFFER, BUFFER);
    if (length <= 0) return 0;
    char *from = in + BUFFER - program->partial_length, *end = in + BUFFER + length, *to = out, *newline;
    memcpy(from, program->partial, program->partial_length);
    size_t before = json ? stamp(head, index, program->pid) : (size_t)sprintf(head, "p%04d  | ", index);
    while ((newline = memchr(from, '\n', (size_t)(end - from)))) {
        size_t line = (size_t)(newline - from);
        memcpy(to, head, before);
        to += before;
        if (json) {
            to = escape(to, from, line);
            memcpy(to, "\"}\n", 3);
            to += 3;
        } else {
            memcpy(to, from, line + 1);
            to += line + 1;
        }
        from = newline + 1;
    }
    program->partial_length = (size_t)(end - from);
    if (program->partial_length >= BUFFER) die("a line is too long");
    if (program->partial_length > 0 && !program->partial) program->partial = malloc(BUFFER);
    memcpy(program->partial, from, program->partial_length);
    write_all(out, (size_t)(to - out));
    return 1;
}

static void answer(int listener) {
    static char reply[MAX_PROGRAMS * 64];
    char *to = reply;
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    for (int i = 0; i < count; i++) to += sprintf(to, "p%04d running pid %d\n", i, programs[i].pid);
    if (write(client, reply, (size_t)(to - reply)) < 0) perror("cannot answer");
    close(client);
}

static struct sockaddr_un address(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    return address;
}

/* Reaps and restarts; returns whether a child is left. */
static int reap(int poller) {
    for (;;) {
        pid_t ended = waitpid(-1, NULL, WNOHANG);
        if (ended == 0) return 1;
        if (ended < 0) return 0;
        struct program *program = find_program(ended);
        if (!program || stopping) continue;
        close(program->out);
        start_captured(poller, (int)(program - programs));
    }
}

static int capture(int json, const char *path, const char *socket_path) {
    struct signalfd_siginfo info;
    struct epoll_event events[64];
    int poller = epoll_create1(EPOLL_CLOEXEC);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    int stop_signals = signalfd(-1, &signals, SFD_CLOEXEC);
    add(poller, stop_signals, SIGNALS);
    read_programs(path);
    for (int i = 0; i < count; i++) start_captured(poller, i);
    if (socket_path) {
        struct sockaddr_un where = address(socket_path);
        int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(listener, (struct sockaddr *)&where, sizeof where) || listen(listener, 64)) die(socket_path);
        add(poller, listener, SOCKET);
    }
    for (;;) {
        int ready = epoll_wait(poller, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            int key = (int)(uint32_t)events[i].data.u64, fd = (int)(events[i].data.u64 >> 32);
            if (key == SOCKET) {
                answer(fd);
            } else if (key == SIGNALS) {
                if (read(stop_signals, &info, sizeof info) != sizeof info) die("cannot read a signal");
                if (info.ssi_signo == SIGTERM) stop(SIGTERM);
                if (!reap(poller)) return 0;
            } else if (!forward_lines(key, json)) {
                epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
            }
        }
    }
}

static int ask(const char *path) {
    static char reply[BUFFER];
    ssize_t length;
    struct sockaddr_un where = address(path);
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(server, (struct sockaddr *)&where, sizeof where) != 0) die(path);
    while ((length = read(server, reply, sizeof reply)) > 0) write_all(reply, (size_t)length);
    return 0;
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = stop};
    sigemptyset(&signals);
    if (argc > 2 && strcmp(argv[1], "ask") == 0) return ask(argv[2]);
    if (argc > 3 && strcmp(argv[1], "capture") == 0) {
        sigaddset(&signals, SIGCHLD);
        sigaddset(&signals, SIGTERM);
        return capture(strcmp(argv[2], "json") == 0, argv[3], argc > 4 ? argv[4] : NULL);
    }
    sigaction(SIGTERM, &action, NULL);
    if (argc > 2 && strcmp(argv[1], "one") == 0) return one(argv + 2);
    if (argc > 2 && strcmp(argv[1], "many") == 0) return many(argv[2]);
    return 2;
}
