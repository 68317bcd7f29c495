/*
 * swept.c - a thousand calls that may fail, with some work in between: about 10 ms here.
 *
 * For `pkern bench`: what a sweep of all of them takes.  Status 3 says that a call has failed.
 */
#include "raw.h"

int main(void)
{
	volatile long work = 0;

	for (int call = 0; call < 1000; call++) {
		if (raw3(SYS_getpgid, 0, 0, 0) < 0)
			return 3;
		for (int step = 0; step < 500; step++)
			work += step;
	}
	return 0;
}
