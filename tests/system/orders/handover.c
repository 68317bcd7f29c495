/* A value and a flag, in the wrong order: the reader may find the flag set and no value. */
#include "tiny.h"

SHARED int flag, value;

static void give(void)
{
	flag = 1;
	value = 7;
}

static int run(void)
{
	start(&one, give);
	int seen = flag ? value : 7;
	join(&one);
	return seen != 7;
}
