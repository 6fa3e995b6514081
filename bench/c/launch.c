/* Starts a program as PID 1 of a new PID and mount namespace with its own /proc, and reads the clock right before
 * exec and right after the program's exit.
 *
 * launch CONTROL-FD PROGRAM [ARG]...
 * Writes to CONTROL-FD: "pid P", "exec NS", and at the end "exit WAIT-STATUS NS".
 * The namespace's processes die with the launcher, and the launcher dies with its parent. */
#include "record.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void put(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, text, strlen(text)) < 0) die(path);
    close(file);
}

/* Without root, a user namespace is needed to create the other two. */
static void become_root(void) {
    char line[64];
    uid_t user = geteuid();
    gid_t group = getegid();
    if (unshare(CLONE_NEWUSER) != 0) die("cannot create a user namespace (try as root)");
    put("/proc/self/setgroups", "deny");
    snprintf(line, sizeof line, "0 %u 1", user);
    put("/proc/self/uid_map", line);
    snprintf(line, sizeof line, "0 %u 1", group);
    put("/proc/self/gid_map", line);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    int control = atoi(argv[1]);
    fcntl(control, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (geteuid() != 0) become_root();
    if (unshare(CLONE_NEWNS) != 0) die("cannot create a mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) die("cannot make mounts private");
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
    if (child < 0) die("cannot create a PID namespace");
    if (child == 0) {
        char line[64];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (mount("proc", "/proc", "proc", 0, NULL) != 0) die("cannot mount /proc");
        setsid();
        int length = snprintf(line, sizeof line, "exec %lld\n", (long long)now());
        if (write(control, line, (size_t)length) != length) die("cannot write the time");
        execv(argv[2], argv + 2);
        die(argv[2]);
    }
    dprintf(control, "pid %d\n", child);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    dprintf(control, "exit %d %lld\n", status, (long long)now());
    return 0;
}
