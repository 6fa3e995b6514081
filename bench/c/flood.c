/* Writes numbered lines of 100 bytes to its stdout in writes of 64 KiB, as fast as they are taken.
 *
 * flood FIFO BYTES   waits for USR1, writes BYTES bytes, records the start ('S') and the end ('E'),
 *                    and sleeps
 * flood FIFO 0       writes from each USR1 until the next USR2, forever
 *
 * The numbers wrap after 16384 lines, where the end of a line is also the end of a write. */
#include "record.h"
#include <signal.h>

enum { LINE = 100, LINES = 16384, CHUNK = 65536 };

static volatile sig_atomic_t running;
static char text[LINE * LINES + 1];

static void set_running(int signal) { running = signal == SIGUSR1; }

static void write_all(const char *from, size_t length) {
    while (length > 0) {
        ssize_t count = write(STDOUT_FILENO, from, length);
        if (count < 0) die("cannot write");
        from += count;
        length -= (size_t)count;
    }
}

int main(int argc, char **argv) {
    sigset_t mine, open;
    struct sigaction action = {.sa_handler = set_running, .sa_flags = SA_RESTART};
    if (argc < 3) return 2;
    int64_t wanted = atoll(argv[2]);
    for (int line = 0; line < LINES; line++) {
        char *at = text + line * LINE;
        int head = sprintf(at, "%05d ", line);
        for (int i = head; i < LINE - 1; i++) at[i] = (char)('a' + (line + i) % 26);
        at[LINE - 1] = '\n';
    }
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR1);
    sigaddset(&mine, SIGUSR2);
    sigprocmask(SIG_BLOCK, &mine, &open);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    int fifo = open_fifo(argv[1]);
    write_record(fifo, 'F', now());
    while (!running) sigsuspend(&open);
    write_record(fifo, 'S', now());
    size_t at = 0;
    for (int64_t done = 0; wanted == 0 || done < wanted;) {
        sigset_t pending;
        size_t length = CHUNK;
        if (wanted > 0 && wanted - done < CHUNK) length = (size_t)(wanted - done);
        write_all(text + at, length);
        done += (int64_t)length;
        at = (at + CHUNK) % (LINE * LINES);
        if (wanted > 0) continue;
        sigpending(&pending);
        if (!sigismember(&pending, SIGUSR2)) continue;
        while (sigsuspend(&open), !running) {}
    }
    write_record(fifo, 'E', now());
    sigprocmask(SIG_SETMASK, &open, NULL);
    for (;;) pause();
}
