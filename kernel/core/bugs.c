/*
 * bugs.c - which bug a build for tests has; nothing in any other build.
 */
#include "core.h"

#ifdef PKERN_BUGS

uint64_t pkern_bug;
const char *pkern_bug_noted;

void bug_note(const char *what)
{
	if (!pkern_bug_noted)
		pkern_bug_noted = what;
}

#endif
