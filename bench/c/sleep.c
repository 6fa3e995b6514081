/* A static C program that sleeps: the cost of a process. */
#include <unistd.h>

int main(void) {
    for (;;) pause();
}
