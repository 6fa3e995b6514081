/* The program that is supervised: stamps the clock first thing in main(), says so, and sleeps. It says so
 * too when it is asked to stop, and exits with 0.
 *
 * mark FIFO */
#include "record.h"
#include <signal.h>

int main(int argc, char **argv) {
    int64_t up = now();
    sigset_t stop;
    int got;
    (void)argc;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    int fifo = open_fifo(argv[1]);
    tell(fifo, 'M', up);
    while (sigwait(&stop, &got) != 0) {}
    tell(fifo, 'T', now());
    return 0;
}
