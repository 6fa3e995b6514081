/* Creates orphans and waits until PID 1 has reaped them.
 *
 * orphans FIFO at-once N   creates N zombies and kills their parent. Records 'R': the nanoseconds from the KILL until
 *                          the last one is reaped.
 * orphans FIFO stream N    creates N processes that lose their parent and exit, one after the other. Records 'R': the
 *                          nanoseconds from the first fork until the last one is reaped.
 *
 * kill(pid, 0) succeeds for a zombie and fails once it is reaped (kill(2)). Waits for USR1 before it starts, and sleeps
 * when it has finished. */
#include "record.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

static pid_t fork_checked(void) {
    pid_t child = fork();
    if (child < 0) die("cannot fork");
    return child;
}

/* Forks the parent of the zombies: it forks them, and WNOWAIT waits for their exit without reaping them (waitid(2)). */
static pid_t at_once(pid_t *pids, int count) {
    int ready[2];
    char byte;
    siginfo_t info;
    if (pipe(ready) != 0) die("cannot create a pipe");
    pid_t parent = fork_checked();
    if (parent != 0) {
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 1) die("cannot create orphans");
        return parent;
    }
    for (int i = 0; i < count; i++) {
        pid_t child = fork_checked();
        if (child == 0) _exit(0);
        pids[i] = child;
    }
    for (int i = 0; i < count; i++)
        if (waitid(P_PID, (id_t)pids[i], &info, WEXITED | WNOWAIT) != 0) die("cannot wait");
    if (write(ready[1], "", 1) != 1) die("cannot write to the pipe");
    for (;;) pause();
}

static void stream(pid_t *pids, int count) {
    for (int i = 0; i < count; i++) {
        pid_t parent = fork_checked();
        if (parent == 0) {
            pid_t child = fork_checked();
            if (child != 0) pids[i] = child;
            _exit(0);
        }
        if (waitpid(parent, NULL, 0) != parent) die("cannot wait");
    }
}

static int is_reaped(pid_t pid) { return kill(pid, 0) != 0 && errno == ESRCH; }

int main(int argc, char **argv) {
    sigset_t usr1;
    int got;
    if (argc < 4) return 2;
    int count = atoi(argv[3]);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    int fifo = open_fifo(argv[1]);
    pid_t parent = 0, *pids = mmap(NULL, sizeof(pid_t) * (size_t)count, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pids == MAP_FAILED) die("cannot map memory");
    int together = strcmp(argv[2], "at-once") == 0;
    if (together) parent = at_once(pids, count);
    write_record(fifo, 'F', now());
    sigwait(&usr1, &got);
    int64_t start = now();
    if (!together) stream(pids, count);
    else if (kill(parent, SIGKILL) != 0 || waitpid(parent, NULL, 0) != parent) die("cannot kill the parent");
    for (int i = 0; i < count;) {
        if (is_reaped(pids[i])) i++;
        else nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    write_record(fifo, 'R', now() - start);
    sigprocmask(SIG_UNBLOCK, &usr1, NULL);
    for (;;) pause();
}
