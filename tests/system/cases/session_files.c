/*
 * Files of /proc about sessions: loginuid, sessionid, autogroup, attr; and what stat counts in /proc.
 * Of a Linux 6.18 without a security module, where nobody has logged in.
 */
#define _GNU_SOURCE
#include "parts.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static long get(const char *path)
{
	char bytes[100];
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	long size = result(read(fd, bytes, sizeof bytes));
	close(fd);
	return size;
}

static char *of(pid_t pid, const char *name)
{
	static char path[4][64];
	static int turn;
	char *made = path[turn++ % 4];
	sprintf(made, "/proc/%d/%s", pid, name);
	return made;
}

static void shown(void)
{
	static const char *names[] = { "loginuid",     "sessionid", "arch_status",
				       "attr/current", "attr/exec", "attr/prev" };
	pid_t child = fork();
	if (!child)
		pause();
	for (int turn = 0; turn < 3; turn++) {
		pid_t pid = turn ? child : getpid();
		if (turn == 2) {
			siginfo_t info;
			kill(child, SIGKILL);
			waitid(P_PID, child, &info, WEXITED | WNOWAIT);
		}
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			P(names[i], get(of(pid, names[i])), put(of(pid, names[i]), "x"));
	}
	wait(NULL);
	P("first process", put("/proc/1/attr/current", "x"), put("/proc/1/loginuid", "5"));
}

static void show_login(void)
{
	printf("%s ", content("/proc/self/loginuid"));
	printf("%s\n", content("/proc/thread-self/loginuid"));
}

static void login(void)
{
	const char *path = "/proc/self/loginuid";
	P("refused", put(path, "x"), put(path, ""), put(path, "-1"), put(path, "4294967296"));
	P("none yet", put(path, "4294967295"));
	show_login();
	P("set", put(path, "1000\n"), get("/proc/self/sessionid") > 0);
	show_login();
	pid_t child = fork();
	if (!child) {
		show_login();
		setuid(12345);
		P("again", put(path, "1001"));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	P("again", put(path, "1001"), put(path, "4294967295"));
	show_login();
}

static void group(void)
{
	const char *path = "/proc/self/autogroup";
	setsid();
	P("refused", put(path, "20"), put(path, "-21"), put(path, "x"), put(path, ""));
	printf("%s", strstr(content(path), " nice"));
	P("first process", get("/proc/1/autogroup"));
	if (getuid()) {
		P("higher", put(path, "-1"));
		return; /* a change is refused soon after anybody else's */
	}
	P("set", put(path, "7"), put(path, "-20"), put(path, " 0x5\n"));
	pid_t child = fork();
	if (!child) {
		printf("%s", strstr(content(path), " nice"));
		setsid();
		printf("%s", strstr(content(path), " nice"));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void counted(void)
{
	static const char *paths[] = {
		"/proc/self",      "/proc/thread-self", "/proc/self/attr",
		"/proc/self/task", "/proc/self/fd",     "/proc/self/ns",
		"/proc/sys",       "/proc/sys/vm",      "/proc/sys/kernel/random",
		"/proc/tty",       "/proc/tty/driver",  "/proc/driver",
		"/proc/sysvipc"
	};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		struct stat s;
		long done = result(stat(paths[i], &s));
		printf("%s %ld %o %ld\n", paths[i], done, s.st_mode, (long)s.st_nlink);
	}
	struct stat before, after;
	stat("/proc/self/fd", &before);
	dup2(0, 100);
	stat("/proc/self/fd", &after);
	P("one more", after.st_size - before.st_size);
	stat("/proc", &before);
	pid_t child = fork();
	if (!child)
		pause();
	P("processes", before.st_nlink > 3, get("/proc/execdomains"), get("/proc/tty/ldiscs"));
	kill(child, SIGKILL);
	wait(NULL);
}

int main(void)
{
	part("shown", shown);
	part("login", login);
	part("group", group);
	part("counted", counted);
	setuid(1000);
	prctl(PR_SET_DUMPABLE, 1);
	part("shown to a user", shown);
	part("login of a user", login);
	part("group of a user", group);
	return 0;
}
