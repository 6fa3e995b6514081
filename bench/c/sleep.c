/* A static C program that sleeps: the memory of a process without code. */
#include <unistd.h>

int main(void) {
    for (;;) pause();
}
