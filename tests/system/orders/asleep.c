/* Who finds no flag sleeps, and does not look again: a wake that comes in between wakes nobody. */
#include "tiny.h"

SHARED int flag, word;

static void wake(void)
{
	flag = 1;
	call(SYS_futex, (long)&word, FUTEX_WAKE, 1, 0, 0, 0);
}

static int run(void)
{
	start(&one, wake);
	if (!flag)
		call(SYS_futex, (long)&word, FUTEX_WAIT, 0, 0, 0, 0);
	join(&one);
	return 0;
}
