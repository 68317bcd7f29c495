/* What a call of the C library returned: a number, or the name of its errno. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

static inline const char *outcome(long result)
{
	static char text[32];
	if (result >= 0)
		snprintf(text, sizeof(text), "%ld", result);
	else
		snprintf(text, sizeof(text), "%s", strerrorname_np(errno));
	return text;
}
