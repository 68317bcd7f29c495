/*
 * A user of whom nothing else runs: limits count what all processes of a user have, and another run of the same
 * program, or what that has not yet given back, is not to count.
 */
#pragma once
#include <sys/types.h>
#include <unistd.h>

static inline uid_t own_user(void) { return 1000000 + (uid_t)getpid(); }
