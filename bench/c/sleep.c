/* A static C program that sleeps: what a process costs at all. */
#include <unistd.h>

int main(void) {
    for (;;) pause();
}
