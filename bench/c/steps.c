/* The code that a program executes: writes the address of each instruction of its text once, in the order of their first
 * execution (ptrace(2), PTRACE_SINGLESTEP). Its children are not followed.
 *
 *     steps OUTPUT FIRST LAST PROGRAM [ARGUMENT...]     FIRST, LAST: the addresses of the text, in hexadecimal
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count < 5) return 2;
    unsigned long first = strtoul(arguments[2], NULL, 16), last = strtoul(arguments[3], NULL, 16);
    unsigned char *seen = calloc(last - first + 1, 1);
    FILE *output = fopen(arguments[1], "w");
    if (!seen || !output) return 1;
    setvbuf(output, NULL, _IOLBF, 0);
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        execv(arguments[4], arguments + 4);
        _exit(127);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return 1;
    ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)(long)PTRACE_O_EXITKILL);
    int signal = 0;
    for (;;) {
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, (void *)(long)signal) != 0) break;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
        if (!WIFSTOPPED(status)) break;
        signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
        unsigned long at = ptrace(PTRACE_PEEKUSER, child, (void *)offsetof(struct user, regs.rip), NULL);
        if (at >= first && at < last && !seen[at - first]) {
            seen[at - first] = 1;
            fprintf(output, "%lx\n", at);
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
