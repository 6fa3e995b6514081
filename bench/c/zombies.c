/* Counts the zombies among the children of a process every 2 ms until stdin is closed, then prints the largest count
 * and the number of samples.
 *
 * zombies PID */
#include "record.h"
#include <poll.h>
#include <string.h>

static char children[1 << 20];

static ssize_t read_file(const char *path, char *into, size_t capacity) {
    ssize_t length = 0, count;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    while ((count = read(file, into + length, capacity - 1 - (size_t)length)) > 0) length += count;
    close(file);
    into[length] = '\0';
    return length;
}

static int is_zombie(const char *pid) {
    char path[64], stat[512];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    if (read_file(path, stat, sizeof stat) <= 0) return 0;
    const char *state = strrchr(stat, ')');
    return state && state[1] && state[2] == 'Z';
}

int main(int argc, char **argv) {
    char path[64];
    int most = 0, samples = 0;
    struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
    if (argc < 2) return 2;
    snprintf(path, sizeof path, "/proc/%s/task/%s/children", argv[1], argv[1]);
    do {
        int zombies = 0;
        if (read_file(path, children, sizeof children) < 0) die(path);
        for (char *pid = strtok(children, " "); pid; pid = strtok(NULL, " ")) zombies += is_zombie(pid);
        if (zombies > most) most = zombies;
        samples++;
    } while (poll(&end, 1, 2) == 0);
    printf("%d %d\n", most, samples);
    return 0;
}
