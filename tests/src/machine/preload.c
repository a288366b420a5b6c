// Preloaded into the program under test: what machine.rs wants of the machine below it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// The number in the file that a variable names; 0 where there is none.
static long told(const char *variable) {
    const char *file = getenv(variable);
    int descriptor = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0)
        return 0;
    char text[32] = {0};
    ssize_t length = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    return length > 0 ? strtol(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    long result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0)
        now->tv_sec += told("KEYFOB_TEST_PASSED");
    if (result == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += told("KEYFOB_TEST_CLOCK");
    return (int)result;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (told("KEYFOB_TEST_NAMELESS"))
        return EAI_AGAIN;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    // Names that the test's certificates are good for lead to this machine.
    size_t length = node ? strlen(node) : 0;
    if (length > 8 && strcmp(node + length - 8, ".example") == 0)
        node = "localhost";
    return real(node, service, hints, found);
}
