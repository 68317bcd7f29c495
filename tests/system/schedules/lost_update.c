/* Two threads count without a lock: a load, an addition, a store. */
#include "bugs.h"

static volatile int count;

static void *add(void *unused)
{
	count++;
	return unused;
}

int main(void)
{
	run_both(add, add);
	CHECK(count == 2);
	return 0;
}
