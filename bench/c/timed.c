/* Runs a command COUNT times and prints for each run the time from vfork to wait, and its wait status: "NS STATUS".
 * The command's stdout goes to FILE.
 *
 * timed COUNT FILE PROGRAM [ARG]... */
#include "record.h"
#include <sys/wait.h>

extern char **environ;

static void run(const char *file, char **argv) {
    int status, out = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0) die(file);
    int64_t start = now();
    pid_t child = vfork();
    if (child == 0) {
        dup2(out, STDOUT_FILENO);
        execve(argv[0], argv, environ);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) die("cannot run");
    printf("%lld %d\n", (long long)(now() - start), status);
    close(out);
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    for (int i = 0; i < atoi(argv[1]); i++) run(argv[2], argv + 3);
    return 0;
}
