/* The supervised program: reads the clock at the start of main(), records it, and sleeps. At a stop signal it writes
 * another record and exits with 0.
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
    write_record(fifo, 'M', up);
    while (sigwait(&stop, &got) != 0) {}
    write_record(fifo, 'T', now());
    return 0;
}
