/* Time namespaces: whose clocks are ahead, from when on, and which calls count by them. */
#define _GNU_SOURCE
#include "asleep.h"
#include "userns.h"
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <time.h>

#define CLONE_NEWTIME_ 0x80
#define SECOND 1000000000l
#define DAY 86400l

static const char *self;
static long home;

static long begin(void)
{
	long done = be_root(0);
	return done ? done : result(unshare(CLONE_NEWTIME_));
}

static void show(const char *path) { printf("%s", content(path)); }

static long ino(const char *path)
{
	struct stat st;
	return stat(path, &st) ? -errno : (long)st.st_ino;
}

static long now(int clock)
{
	struct timespec at;
	return syscall(SYS_clock_gettime, clock, &at) ? -errno : at.tv_sec * SECOND + at.tv_nsec;
}

/* How many seconds a clock is ahead of what it was, less what has passed since. */
static long base[12], began;
static void note(void)
{
	began = now(CLOCK_REALTIME);
	for (int clock = 0; clock < 12; clock++)
		base[clock] = now(clock);
}
static long ahead(int clock)
{
	long passed = now(CLOCK_REALTIME) - began, here = now(clock);
	return here < 0 && base[clock] < 0
		       ? here
		       : (here - base[clock] - passed + 1000 * DAY * SECOND + SECOND / 2) / SECOND -
				 1000 * DAY;
}

static void clocks(const char *what)
{
	P(what, ahead(CLOCK_REALTIME), ahead(CLOCK_MONOTONIC), ahead(CLOCK_MONOTONIC_RAW),
	  ahead(CLOCK_REALTIME_COARSE), ahead(CLOCK_MONOTONIC_COARSE), ahead(CLOCK_BOOTTIME),
	  ahead(CLOCK_TAI));
}

static void in_child(void (*run)(void))
{
	int status = status_of_child(run);
	if (status)
		printf("ended with %x\n", status);
}

static void two(const char *what)
{
	P(what, ino("/proc/self/ns/time") == ino("/proc/self/ns/time_for_children"),
	  ino("/proc/self/ns/time") == home);
}

static void child_is_in(void)
{
	two("child");
	show("/proc/self/timens_offsets");
	clocks("clocks");
	P("frozen", put("/proc/self/timens_offsets", "monotonic 1 0"));
}

static void offsets(void)
{
	two("first");
	P("closed", put("/proc/self/timens_offsets", "monotonic 1 0"));
	show("/proc/self/timens_offsets");
	note();
	P("begin", begin());
	two("unshared");
	show("/proc/self/timens_offsets");
	const char *texts[] = { "",
				"x",
				"monotonic",
				"monotonic 1",
				"monotonic 1 1000000000",
				"monotonic 1 -1",
				"raw 1 0",
				"0 1 0",
				"monotonic -9999999999 0",
				"monotonic 9999999999 0",
				"monotonic 9223372036 0",
				"monotonic 4611686019 0",
				"monotonic -99999999 0",
				"boottime -99999999 0",
				"boottimes 1 0",
				"monotonic 1 0 rest",
				"monotonic +5 0",
				"monotonic 5 +0",
				"monotonic 1 0\n\nboottime 1 0",
				"1 172800 500\n",
				"7 0x10 0",
				"boottime 345600 0\nmonotonic 86400 7\nmonotonic 8 8\n" };
	for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
		P("set", i, put("/proc/self/timens_offsets", texts[i]));
	show("/proc/self/timens_offsets");
	clocks("not yet");
	in_child(child_is_in);
	P("closed", put("/proc/self/timens_offsets", "monotonic 1 0"));
	clocks("never");
}

/* ---- calls that take a time of a clock ---- */

/* 0: too early, if but by a tenth: clocks differ; 1: then, or when a busy host got to it; 2: much later. */
static long short_of(long from, long ns)
{
	long took = now(CLOCK_REALTIME) - from;
	return took < ns - ns / 10 ? 0 : took < DAY * SECOND / 24 ? 1 : 2;
}

static struct timespec later(int clock, long ns)
{
	long at = now(clock) + ns;
	return (struct timespec){ at / SECOND, at % SECOND };
}

static long sleep_to(int clock, long ns)
{
	long from = now(CLOCK_REALTIME);
	struct timespec at = later(clock, ns);
	long done = clock_nanosleep(clock, TIMER_ABSTIME, &at, 0);
	return done ? -done : short_of(from, ns);
}

static long descriptor_to(int clock, long ns)
{
	long from = now(CLOCK_REALTIME);
	struct itimerspec at = { .it_value = later(clock, ns) };
	uint64_t count;
	int fd = timerfd_create(clock, 0);
	long done = result(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, 0));
	read(fd, &count, sizeof count);
	close(fd);
	return done ? done : short_of(from, ns);
}

static long timer_to(int clock, long ns)
{
	long from = now(CLOCK_REALTIME);
	struct itimerspec at = { .it_value = later(clock, ns) };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, 0);
	timer_t timer;
	long done = result(timer_create(clock, &event, &timer));
	timer_settime(timer, TIMER_ABSTIME, &at, 0);
	sigwaitinfo(&set, 0);
	timer_delete(timer);
	return done ? done : short_of(from, ns);
}

static long word_to(int clock, long ns)
{
	long from = now(CLOCK_REALTIME);
	struct timespec at = later(clock, ns);
	int word = 0, bits = clock == CLOCK_REALTIME ? 9 | 256 : 9;
	long done = result(syscall(SYS_futex, &word, bits, 0, &at, 0, -1));
	return done == -ETIMEDOUT ? short_of(from, ns) : done;
}

static long words_to(int clock, long ns)
{
	long from = now(CLOCK_REALTIME);
	struct timespec at = later(clock, ns);
	int word = 0;
	struct {
		uint64_t value, address;
		uint32_t flags, reserved;
	} one = { 0, (uintptr_t)&word, 2, 0 };
	long done = result(syscall(449, &one, 1, 0, &at, clock));
	return done == -ETIMEDOUT ? short_of(from, ns) : done;
}

static void sleeps(void)
{
	long soon = SECOND / 20;
	P("sleep", sleep_to(CLOCK_MONOTONIC, soon), sleep_to(CLOCK_BOOTTIME, soon),
	  sleep_to(CLOCK_REALTIME, soon), sleep_to(CLOCK_MONOTONIC, -soon),
	  sleep_to(CLOCK_MONOTONIC, -DAY * SECOND / 2));
	P("timerfd", descriptor_to(CLOCK_MONOTONIC, soon), descriptor_to(CLOCK_BOOTTIME, soon),
	  descriptor_to(CLOCK_REALTIME, soon), descriptor_to(CLOCK_MONOTONIC, -soon),
	  descriptor_to(CLOCK_MONOTONIC, -DAY * SECOND / 2));
	P("timer", timer_to(CLOCK_MONOTONIC, soon), timer_to(CLOCK_BOOTTIME, soon),
	  timer_to(CLOCK_REALTIME, soon), timer_to(CLOCK_MONOTONIC, -soon));
	P("futex", word_to(CLOCK_MONOTONIC, soon), word_to(CLOCK_REALTIME, soon),
	  words_to(CLOCK_MONOTONIC, soon), words_to(CLOCK_REALTIME, soon));
	struct timespec little = { 0, soon };
	long from = now(CLOCK_REALTIME);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &little, 0);
	P("relative", short_of(from, soon));
}

static void calls(void)
{
	P("begin", begin(),
	  put("/proc/self/timens_offsets", "monotonic 86400 0\nboottime 172800 0"));
	in_child(sleeps);
}

/* ---- what shows the time since boot ---- */

static long uptime(void)
{
	char text[100] = "";
	int fd = open("/proc/uptime", O_RDONLY);
	read(fd, text, sizeof text - 1);
	close(fd);
	return atol(text);
}

static long field(const char *path, int number)
{
	char text[4096] = "";
	int fd = open(path, O_RDONLY);
	read(fd, text, sizeof text - 1);
	close(fd);
	char *at = strrchr(text, ')') + 2;
	for (int i = 3; i < number; i++)
		at = strchr(at, ' ') + 1;
	return atol(at);
}

static long boot(void)
{
	static char text[1 << 20];
	int fd = open("/proc/stat", O_RDONLY);
	long size = 0, count;
	while ((count = read(fd, text + size, sizeof text - 1 - size)) > 0)
		size += count;
	text[size] = 0;
	close(fd);
	return atol(strstr(text, "btime") + 6);
}

static long info(void)
{
	struct sysinfo found;
	sysinfo(&found);
	return found.uptime;
}

static long shown[4];
static void show_boot(void)
{
	long days[] = { uptime() - shown[0], info() - shown[1], boot() - shown[2],
			field("/proc/self/stat", 22) / 100 - shown[3] };
	for (int i = 0; i < 4; i++)
		days[i] = (days[i] + 1000 * DAY + DAY / 2) / DAY - 1000;
	P("days", days[0], days[1], days[2], days[3]);
	char path[60];
	snprintf(path, sizeof path, "/proc/%d/stat", getppid());
	P("parent", (field(path, 22) / 100 - shown[3] + DAY / 2) / DAY);
}

static void boots(void)
{
	shown[0] = uptime(), shown[1] = info(), shown[2] = boot();
	shown[3] = field("/proc/self/stat", 22) / 100;
	P("begin", begin(),
	  put("/proc/self/timens_offsets", "monotonic 86400 0\nboottime 172800 0"));
	show_boot();
	in_child(show_boot);
}

/* ---- who is in one, from when on ---- */

static volatile int let_go;

static void *be_there(void *unused)
{
	(void)unused;
	while (!let_go)
		usleep(1000);
	return 0;
}

static void *show_thread(void *unused)
{
	(void)unused;
	clocks("thread");
	return 0;
}

static int run_shared(void *unused)
{
	(void)unused;
	clocks("shares memory");
	fflush(stdout);
	_exit(0);
}

static long clone3_(uint64_t flags)
{
	uint64_t args[8] = { flags, 0, 0, 0, SIGCHLD };
	fflush(stdout);
	long child = result(syscall(SYS_clone3, args, sizeof args));
	if (!child) {
		clocks("clone3");
		two("clone3");
		fflush(stdout);
		_exit(0);
	}
	if (child > 0)
		waitpid(child, 0, 0);
	return child > 0 ? 1 : child;
}

static char more[65536];
static void members(void)
{
	note();
	P("begin", begin(),
	  put("/proc/self/timens_offsets", "monotonic 86400 0\nboottime 172800 0"));
	pthread_t thread;
	pthread_create(&thread, 0, show_thread, 0);
	pthread_join(thread, 0);
	fflush(stdout);
	pid_t child = clone(run_shared, more + sizeof more, CLONE_VM | SIGCHLD, 0);
	waitpid(child, 0, 0);
	child = vfork();
	if (!child)
		_exit(ahead(CLOCK_MONOTONIC) > 0);
	int status;
	waitpid(child, &status, 0);
	P("vfork", status);
	P("clone3", clone3_(0), clone3_(CLONE_NEWTIME_),
	  clone3_(CLONE_NEWTIME_ | CLONE_VM | CLONE_VFORK));
	P("legacy", call(SYS_clone, CLONE_NEWTIME_ | SIGCHLD | CLONE_THREAD, 0, 0, 0, 0, 0));
	clocks("still");
	char text[30];
	snprintf(text, sizeof text, "%ld", now(CLOCK_MONOTONIC));
	fflush(stdout);
	execl("/proc/self/exe", self, "shown", text, (char *)0);
}

static void enters(void)
{
	int first = open("/proc/self/ns/time", O_RDONLY);
	note();
	P("begin", begin(),
	  put("/proc/self/timens_offsets", "monotonic 86400 0\nboottime 172800 0"));
	int second = open("/proc/self/ns/time_for_children", O_RDONLY);
	P("home", result(setns(first, 0)));
	pthread_t thread;
	pthread_create(&thread, 0, be_there, 0);
	P("threads", result(setns(second, CLONE_NEWTIME_)));
	let_go = 1;
	pthread_join(thread, 0);
	P("enter", result(setns(second, CLONE_NEWNET)), result(setns(second, CLONE_NEWTIME_)));
	two("entered");
	clocks("entered");
	P("frozen", put("/proc/self/timens_offsets", "monotonic 1 0"));
	P("again", result(unshare(CLONE_NEWTIME_)));
	show("/proc/self/timens_offsets");
	P("more", put("/proc/self/timens_offsets", "monotonic 172800 0"));
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		clocks("another");
		fflush(stdout);
		pause();
	}
	until_in(child, SYS_pause);
	int of = syscall(SYS_pidfd_open, child, 0);
	P("by process", result(setns(of, CLONE_NEWTIME_)));
	clocks("by process");
	kill(child, SIGKILL);
	waitpid(child, 0, 0);
}

static void limits(void)
{
	P("begin", begin());
	P("limit", put("/proc/sys/user/max_time_namespaces", "1"), result(unshare(CLONE_NEWTIME_)),
	  put("/proc/sys/user/max_time_namespaces", "2"), result(unshare(CLONE_NEWTIME_)));
}

int main(int argc, char **argv)
{
	if (argc > 2) {
		long ahead = now(CLOCK_MONOTONIC) - atol(argv[2]);
		P("executed", (ahead + SECOND / 2) / SECOND / 60);
		two("executed");
		return 0;
	}
	self = argv[0], uid = getuid(), gid = getgid(), home = ino("/proc/self/ns/time");
	part("offsets", offsets);
	part("calls", calls);
	part("boot", boots);
	part("members", members);
	part("enters", enters);
	part("limits", limits);
	return 0;
}
