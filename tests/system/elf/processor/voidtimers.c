/* The signal of a timer that has expired, and what becomes of it once the timer is set or deleted. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static sigset_t set;
static int timer, handled;

static int pending(void)
{
	sigset_t found;
	sigpending(&found);
	return sigismember(&found, SIGUSR1);
}

static void take(const char *what)
{
	siginfo_t info = { 0 };
	int before = pending(), got = sigtimedwait(&set, &info, &(struct timespec){ 0, 0 });
	printf("%s: pending %d, taken %d %d %d\n", what, before, got < 0 ? -errno : got,
	       got < 0 ? 0 : info.si_code, got < 0 ? 0 : info.si_value.sival_int);
	fflush(stdout);
}

static void set_to(long ns, long interval)
{
	struct itimerspec times = { { 0, interval }, { 0, ns } };
	syscall(SYS_timer_settime, timer, 0, &times, 0);
}

static void expire(int how, long interval)
{
	struct sigevent event = { .sigev_notify = how, .sigev_signo = SIGUSR1 };
	event.sigev_value.sival_int = 77;
	((int *)&event)[4] = (int)syscall(SYS_gettid); /* sigev_notify_thread_id */
	syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer);
	set_to(1000, interval);
	while (!pending())
		usleep(1000);
}

static void delete(void) { syscall(SYS_timer_delete, timer); }

static void *of_its_own(void *unused)
{
	expire(SIGEV_THREAD_ID, 0);
	printf("in the thread: pending %d\n", pending());
	return unused;
}

static void count(int signo) { handled++; }

int main(int argc, char **argv)
{
	pthread_t thread;
	struct signalfd_siginfo record;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, 0);
	if (argc > 1) {
		take("after execve");
		return 0;
	}
	expire(SIGEV_SIGNAL, 0), delete(), take("deleted"), take("once more");
	expire(SIGEV_SIGNAL, 0), set_to(0, 0), take("off"), delete();
	expire(SIGEV_SIGNAL, 1000000), set_to(0, 0), take("periodic, off"), delete();
	expire(SIGEV_THREAD_ID, 0), delete(), take("a thread's, deleted");
	expire(SIGEV_SIGNAL, 0), set_to(1000, 0);
	usleep(20000);
	take("expired twice"), take("once more"), delete();
	expire(SIGEV_SIGNAL, 0), set_to(0, 0), kill(getpid(), SIGUSR1);
	take("another one behind it"), take("once more"), delete();
	expire(SIGEV_SIGNAL, 0), set_to(0, 0);
	int fd = signalfd(-1, &set, SFD_NONBLOCK);
	long got = read(fd, &record, sizeof record);
	printf("by a descriptor: %ld %s\n", got, got < 0 ? "refused" : "");
	delete();
	expire(SIGEV_SIGNAL, 0), set_to(0, 0), signal(SIGUSR1, count);
	sigprocmask(SIG_UNBLOCK, &set, 0), sigprocmask(SIG_BLOCK, &set, 0);
	printf("handled %d, pending %d\n", handled, pending());
	delete();
	pthread_create(&thread, 0, of_its_own, 0), pthread_join(thread, 0);
	take("the thread has gone"), delete();
	expire(SIGEV_SIGNAL, 0);
	fflush(stdout);
	if (!fork()) {
		take("a child");
		_exit(0);
	}
	wait(0), take("its parent"), delete();
	expire(SIGEV_SIGNAL, 0);
	fflush(stdout);
	execl("/proc/self/exe", argv[0], "again", (char *)0);
	return 1;
}
