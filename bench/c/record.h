/* The records that the measured programs write to the harness through a FIFO: of a fixed size, and smaller than
 * PIPE_BUF, so that the kernel does not interleave them (pipe(7)). Read by bench/harness.py. */
#ifndef RECORD_H
#define RECORD_H

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct record {
    uint32_t kind; /* a letter */
    int32_t pid;   /* in its PID namespace */
    int64_t value; /* nanoseconds of CLOCK_MONOTONIC, or a count */
};

static inline int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline void die(const char *what) {
    perror(what);
    exit(99);
}

static inline int open_fifo(const char *path) {
    int fifo = open(path, O_WRONLY | O_CLOEXEC);
    if (fifo < 0) die(path);
    return fifo;
}

static inline void write_record(int fifo, char kind, int64_t value) {
    struct record record = {(uint32_t)kind, getpid(), value};
    if (write(fifo, &record, sizeof record) != sizeof record) die("cannot write to the FIFO");
}

#endif
