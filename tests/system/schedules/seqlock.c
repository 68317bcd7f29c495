/* A reader that looks at the sequence once, and does not read again when it has moved. */
#include "bugs.h"

static volatile unsigned sequence;
static volatile int low, high;

static void *change(void *unused)
{
	sequence++;
	low = 1;
	high = 1;
	sequence++;
	return unused;
}

static void *look(void *unused)
{
	if (sequence % 2 == 0) {
		int first = low, second = high;

		CHECK(first == second);
	}
	return unused;
}

int main(void)
{
	run_both(change, look);
	return 0;
}
