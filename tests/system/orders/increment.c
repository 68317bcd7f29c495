/* Two threads count without a lock: 2, or 1 if an update is lost. */
#include "tiny.h"

SHARED int count;

static void add(void) { count = count + 1; }

static int run(void)
{
	start(&one, add);
	add();
	join(&one);
	return count != 2;
}
