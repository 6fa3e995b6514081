/* Watches the children of a process until its own stdin ends, and prints the most zombies that ever stood
 * among them, and how often it looked.
 *
 * zombies PID */
#include "record.h"
#include <poll.h>
#include <string.h>

static char children[1 << 20];

static ssize_t slurp(const char *path, char *into, size_t room) {
    ssize_t length = 0, count;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    while ((count = read(file, into + length, room - 1 - (size_t)length)) > 0) length += count;
    close(file);
    into[length] = '\0';
    return length;
}

static int is_zombie(const char *pid) {
    char path[64], stat[512];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    if (slurp(path, stat, sizeof stat) <= 0) return 0;
    const char *state = strrchr(stat, ')');
    return state && state[1] && state[2] == 'Z';
}

int main(int argc, char **argv) {
    char path[64];
    int most = 0, looks = 0;
    struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
    if (argc < 2) return 2;
    snprintf(path, sizeof path, "/proc/%s/task/%s/children", argv[1], argv[1]);
    do {
        int standing = 0;
        if (slurp(path, children, sizeof children) < 0) die(path);
        for (char *pid = strtok(children, " "); pid; pid = strtok(NULL, " ")) standing += is_zombie(pid);
        if (standing > most) most = standing;
        looks++;
    } while (poll(&end, 1, 2) == 0);
    printf("%d %d\n", most, looks);
    return 0;
}
