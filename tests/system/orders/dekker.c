/* Each says that it comes and looks for the other: under sequential consistency one is seen. */
#include "tiny.h"

SHARED int here[2];
SHARED int seen[2];

static void first(void)
{
	here[0] = 1;
	seen[0] = here[1];
}

static void second(void)
{
	here[1] = 1;
	seen[1] = here[0];
}

static int run(void)
{
	start(&one, first);
	second();
	join(&one);
	return !seen[0] && !seen[1] ? 9 : seen[0] * 2 + seen[1];
}
