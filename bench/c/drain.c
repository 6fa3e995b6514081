/* Counts the bytes and lines of its stdin: the reader of PID 1's output.
 *
 * drain FIFO LINES [FILE]   records the time ('D') when LINES lines have arrived (0: never); FILE gets a copy */
#include "record.h"

static char buffer[1 << 16];

static int64_t newlines(const char *at, size_t length) {
    int64_t count = 0;
    while (length > 0) {
        /* In runs of 255, so that a byte holds the count and the compiler can use vectors. */
        size_t run = length < 255 * 16 ? length : 255 * 16;
        unsigned char lanes[16] = {0};
        size_t i = 0;
        for (; i + 16 <= run; i += 16)
            for (size_t lane = 0; lane < 16; lane++) lanes[lane] += at[i + lane] == '\n';
        for (; i < run; i++) count += at[i] == '\n';
        for (size_t lane = 0; lane < 16; lane++) count += lanes[lane];
        at += run;
        length -= run;
    }
    return count;
}

int main(int argc, char **argv) {
    int64_t bytes = 0, lines = 0;
    ssize_t count;
    if (argc < 3) return 2;
    int64_t wanted = atoll(argv[2]);
    int fifo = open_fifo(argv[1]), copy = -1;
    if (argc > 3 && (copy = open(argv[3], O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) < 0) die(argv[3]);
    while ((count = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
        if (copy >= 0 && write(copy, buffer, (size_t)count) != count) die(argv[3]);
        bytes += count;
        lines += newlines(buffer, (size_t)count);
        if (wanted == 0 || lines < wanted) continue;
        write_record(fifo, 'D', now());
        wanted = 0;
    }
    if (count < 0) die("cannot read");
    printf("%lld %lld\n", (long long)bytes, (long long)lines);
    return 0;
}
