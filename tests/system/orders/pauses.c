/* pauses.c - an alarm, and a wait for it: if the alarm comes before the wait, nothing ends it. */
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static void rings(int signo) { (void)signo; }

int main(int argc, char **argv)
{
	sigset_t blocked, before;

	(void)argv;
	signal(SIGALRM, rings);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGALRM);
	if (argc > 1) /* the right way: the signal is let in by the wait alone */
		sigprocmask(SIG_BLOCK, &blocked, &before);
	alarm(1);
	if (argc > 1)
		sigsuspend(&before);
	else
		pause();
	return 0;
}
