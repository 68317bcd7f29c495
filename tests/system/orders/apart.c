/* Two threads that share nothing but a page: no order of their stores matters. */
#include "tiny.h"

SHARED int mine[2];

static void first(void)
{
	for (int i = 0; i < 2; i++)
		mine[0]++;
}

static void second(void)
{
	for (int i = 0; i < 2; i++)
		mine[1]++;
}

static int run(void)
{
	start(&one, first);
	second();
	join(&one);
	return mine[0] + mine[1] != 4;
}
