/* Pseudo-terminals: both sides, the line discipline, settings, packets, sessions and their jobs. */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static int master, slave;

static long show(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
	return result;
}

static void bytes(const char *what, const char *data, long n)
{
	printf("%s: %ld ", what, n);
	if (n < 0)
		printf("%s", strerror(errno));
	for (long i = 0; i < n; i++)
		if (data[i] >= ' ' && data[i] < 127 && data[i] != '\\')
			putchar(data[i]);
		else
			printf("\\x%02x", (unsigned char)data[i]);
	putchar('\n');
}

/* What was written has reached the other side: a poll that finds nothing waits for that on Linux. */
static void settle(void)
{
	struct pollfd both[] = { { slave, POLLIN, 0 }, { master, POLLIN, 0 } };
	usleep(15000);
	poll(both, 2, 0);
	poll(both, 2, 0);
}

static void read_one(const char *what, int fd, int size)
{
	char data[8192];
	struct pollfd one = { fd, POLLIN, 0 };
	settle();
	if (poll(&one, 1, 0) == 0) {
		printf("%s: nothing\n", what);
		return;
	}
	bytes(what, data, read(fd, data, size));
}

static void type(const char *keys) { write(master, keys, strlen(keys)); }

static void shown(const char *what) { read_one(what, master, 8192); }

static void ready(const char *what, int fd)
{
	struct pollfd one = { fd, POLLIN | POLLOUT | POLLPRI, 0 };
	settle();
	int n = poll(&one, 1, 0);
	printf("%s: ready %d %#x\n", what, n, one.revents);
}

static int make(void)
{
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	grantpt(master);
	unlockpt(master);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	return master >= 0 && slave >= 0;
}

static void unmake(void)
{
	close(slave);
	close(master);
}

static void change(int set_l, int clear_l, int set_i, int clear_i)
{
	struct termios t;
	tcgetattr(slave, &t);
	t.c_lflag = (t.c_lflag | set_l) & ~clear_l;
	t.c_iflag = (t.c_iflag | set_i) & ~clear_i;
	tcsetattr(slave, TCSANOW, &t);
}

/* ---- making ---- */

static void making(void)
{
	unsigned number = 0;
	int locked = -1, other;
	struct stat st;
	char path[32];
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	show("number", ioctl(master, TIOCGPTN, &number));
	snprintf(path, sizeof(path), "/dev/pts/%u", number);
	printf("%d %s\n", !strcmp(path, ptsname(master)), isatty(master) ? "a terminal" : "none");
	show("locked", ioctl(master, TIOCGPTLCK, &locked));
	printf("%d\n", locked);
	show("open", open(path, O_RDWR | O_NOCTTY));
	show("peer", ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
	ready("master alone", master);
	show("unlock", unlockpt(master));
	stat(path, &st);
	printf("%o, %u:%u %d\n", st.st_mode & S_IFMT, major(st.st_rdev),
	       minor(st.st_rdev) == number, st.st_uid == getuid());
	slave = open(path, O_RDWR | O_NOCTTY);
	other = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	printf("%d %d, the same name %d\n", slave > 0, other > 0, !strcmp(ttyname(slave), path));
	ready("master", master);
	ready("slave", slave);
	close(other);
	struct termios t;
	show("settings", tcgetattr(slave, &t));
	printf("%#x %#x %#x %#x\n", t.c_iflag, t.c_oflag, t.c_cflag & ~CBAUD, t.c_lflag);
	bytes("keys", (char *)t.c_cc, 17);
	printf("speeds %d %d\n", cfgetispeed(&t) == B38400, cfgetospeed(&t) == B38400);
	struct winsize w = { 24, 80, 3, 4 }, v = { 9, 9, 9, 9 };
	show("size", ioctl(slave, TIOCGWINSZ, &v));
	printf("%d %d\n", v.ws_row, v.ws_col);
	show("set size", ioctl(master, TIOCSWINSZ, &w));
	ioctl(slave, TIOCGWINSZ, &v);
	printf("%d %d %d %d\n", v.ws_row, v.ws_col, v.ws_xpixel, v.ws_ypixel);
	int n = -1;
	show("group of a slave", ioctl(slave, TIOCGPGRP, &n));
	show("group of a master", ioctl(master, TIOCGPGRP, &n));
	printf("%d\n", n);
	show("session", ioctl(slave, TIOCGSID, &n));
	show("session", ioctl(master, TIOCGSID, &n));
	show("not its own", ioctl(slave, TIOCNOTTY, 0));
	show("set group", ioctl(slave, TIOCSPGRP, &n));
	show("discipline", ioctl(slave, TIOCGETD, &n));
	printf("%d\n", n);
	show("seek", lseek(slave, 0, SEEK_SET));
	show("modem", ioctl(slave, TIOCMGET, &n));
	show("number of a slave", ioctl(slave, TIOCGPTN, &n));
	show("unknown", ioctl(slave, 0x54ff, &n));
	show("drain", tcdrain(slave));
	show("break", tcsendbreak(slave, 0));
	show("flush", tcflush(slave, 9));
	show("exclusive", ioctl(slave, TIOCEXCL, 0));
	show("is", ioctl(slave, TIOCGEXCL, &n));
	printf("%d\n", n);
	ioctl(slave, TIOCNXCL, 0);
	unmake();
	show("gone", open(path, O_RDWR));
}

/* ---- the line discipline ---- */

static void lines(void)
{
	make();
	type("hello\n");
	shown("echo");
	read_one("line", slave, 100);
	type("one\ntwo\nthr");
	shown("echo");
	int n;
	ioctl(slave, FIONREAD, &n);
	printf("unread %d\n", n);
	read_one("part", slave, 2);
	read_one("rest", slave, 100);
	read_one("two", slave, 100);
	read_one("unfinished", slave, 100);
	type("ee\004");
	read_one("by ^D", slave, 100);
	type("\004");
	read_one("an end", slave, 100);
	type("exact\004");
	read_one("exact", slave, 5);
	read_one("no end", slave, 5);
	shown("echo");
	type("abc\177\177x\n");
	shown("erase");
	read_one("erased", slave, 100);
	type("some words_1 here\027\027next\n");
	shown("word");
	read_one("word", slave, 100);
	type("gone\025kept\n");
	shown("kill");
	read_one("kill", slave, 100);
	type("a\026\003b\026\177\n");
	shown("literally");
	read_one("literally", slave, 100);
	type("re\022print\n");
	shown("reprint");
	read_one("reprint", slave, 100);
	type("a\tb\177\177c\001\177\n");
	shown("tab and control");
	read_one("tab", slave, 100);
	type("cr\rnl\n");
	shown("cr");
	read_one("cr", slave, 100);
	read_one("nl", slave, 100);
	type("\177\177\n");
	shown("nothing to erase");
	read_one("empty", slave, 100);
	change(0, ECHO, 0, 0);
	type("secret\177\n");
	shown("no echo");
	read_one("secret", slave, 100);
	change(ECHONL, 0, 0, 0);
	type("x\n");
	shown("echonl");
	read_one("x", slave, 100);
	change(ECHO, ECHONL | ECHOE | ECHOKE | ECHOCTL, 0, 0);
	type("ab\177\001c\025d\n");
	shown("plain");
	read_one("plain", slave, 100);
	change(ECHOPRT | ECHOE | ECHOCTL, 0, 0, 0);
	type("abc\177\177x\n");
	shown("printed");
	read_one("printed", slave, 100);
	change(0, ECHOPRT, IUTF8, 0);
	type("\303\244\342\202\254\177\177e\n");
	shown("utf-8");
	read_one("utf-8", slave, 100);
	change(0, 0, INLCR | IGNCR, ICRNL);
	type("a\rb\nc\004");
	shown("inlcr");
	read_one("inlcr", slave, 100);
	change(0, 0, ISTRIP | IUCLC, INLCR | IGNCR);
	type("\301BC\n");
	read_one("strip", slave, 100);
	shown("strip");
	unmake();
	/* A line longer than there is room for. */
	make();
	change(0, ECHO, 0, 0);
	char *long_line = malloc(6000);
	memset(long_line, 'x', 6000);
	show("long", write(master, long_line, 6000));
	type("y\n");
	read_one("long line", slave, 0);
	settle();
	char *got = malloc(8192);
	long m = read(slave, got, 8192);
	printf("%ld, ends with %d %d\n", m, got[m - 2], got[m - 1]);
	unmake();
}

static void raw(void)
{
	struct termios t;
	make();
	tcgetattr(slave, &t);
	cfmakeraw(&t);
	tcsetattr(slave, TCSANOW, &t);
	type("a\003\r\n\177");
	shown("no echo");
	read_one("raw", slave, 3);
	read_one("raw", slave, 9);
	write(slave, "x\ny", 3);
	shown("output");
	t.c_cc[VMIN] = 3;
	tcsetattr(slave, TCSANOW, &t);
	type("ab");
	ready("two of three", slave);
	type("cd");
	ready("four", slave);
	read_one("four", slave, 9);
	t.c_cc[VMIN] = 0;
	tcsetattr(slave, TCSANOW, &t);
	show("none at all", read(slave, &t, 0));
	char c[9];
	bytes("at once", c, read(slave, c, 9));
	t.c_cc[VTIME] = 2;
	tcsetattr(slave, TCSANOW, &t);
	struct timespec before, after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	bytes("in time", c, read(slave, c, 9));
	clock_gettime(CLOCK_MONOTONIC, &after);
	long ms = (after.tv_sec - before.tv_sec) * 1000 +
		  (after.tv_nsec - before.tv_nsec) / 1000000;
	printf("%d\n", ms >= 190);
	t.c_cc[VMIN] = 9;
	tcsetattr(slave, TCSANOW, &t);
	type("abc");
	bytes("between bytes", c, read(slave, c, 9));
	fcntl(slave, F_SETFL, O_NONBLOCK);
	bytes("not waited for", c, read(slave, c, 9));
	t.c_cc[VMIN] = 1, t.c_cc[VTIME] = 0;
	tcsetattr(slave, TCSANOW, &t);
	type("left");
	settle();
	tcsetattr(slave, TCSAFLUSH, &t);
	bytes("flushed", c, read(slave, c, 9));
	type("becomes a line");
	settle();
	t.c_lflag |= ICANON;
	tcsetattr(slave, TCSANOW, &t);
	read_one("line", slave, 100);
	t.c_oflag = OPOST | ONLCR | OCRNL | ONOCR | XTABS;
	tcsetattr(slave, TCSANOW, &t);
	write(slave, "\ra\tb\rc\n\r\td\b\te", 14);
	shown("opost");
	t.c_oflag = OPOST | OLCUC | ONLRET;
	tcsetattr(slave, TCSANOW, &t);
	write(slave, "az{\n", 4);
	shown("opost");
	unmake();
}

static void flow(void)
{
	make();
	type("\023");
	settle();
	ready("stopped", slave);
	fcntl(slave, F_SETFL, O_NONBLOCK);
	show("write", write(slave, "x", 1));
	type("ab");
	shown("stopped");
	type("\021");
	settle();
	show("write", write(slave, "x", 1));
	shown("started");
	show("tcflow", tcflow(slave, TCOOFF));
	show("write", write(slave, "x", 1));
	show("tcflow", tcflow(slave, TCOON));
	show("write", write(slave, "y", 1));
	shown("started");
	show("tcflow", tcflow(slave, TCIOFF));
	shown("xoff");
	show("tcflow", tcflow(slave, TCION));
	shown("xon");
	show("tcflow", tcflow(slave, 9));
	unmake();
}

static void packets(void)
{
	int on = 1;
	make();
	show("packet", ioctl(master, TIOCPKT, &on));
	on = 0;
	show("is", ioctl(master, TIOCGPKT, &on));
	printf("%d\n", on);
	write(slave, "data", 4);
	read_one("data", master, 99);
	write(slave, "data", 4);
	read_one("a part", master, 3);
	read_one("a part", master, 3);
	tcflow(slave, TCOOFF);
	ready("stop", master);
	read_one("stop", master, 99);
	tcflow(slave, TCOON);
	read_one("start", master, 99);
	tcflush(slave, TCIOFLUSH);
	read_one("flush", master, 99);
	change(0, 0, 0, IXON);
	read_one("no stop", master, 99);
	change(0, 0, IXON, 0);
	read_one("do stop", master, 99);
	unmake();
}

/* ---- ends ---- */

static void ends(void)
{
	char c[9];
	make();
	write(slave, "last", 4);
	close(slave);
	settle();
	ready("slave closed", master);
	shown("last");
	bytes("then", c, read(master, c, 9));
	ready("nothing left", master);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	ready("open again", master);
	close(master);
	settle();
	ready("master closed", slave);
	bytes("read", c, read(slave, c, 9));
	show("write", write(slave, "x", 1));
	struct termios t;
	show("settings", tcgetattr(slave, &t));
	close(slave);
}

/* A child keeps one side alone for a moment, while the parent waits for something to read at the other. */
static void closed_while_waiting(const char *what, int *kept, int *left)
{
	char c[9];
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		close(*kept);
		until_in(getppid(), SYS_read);
		_exit(0);
	}
	close(*left);
	bytes(what, c, read(*kept, c, 9));
	bytes("again", c, read(*kept, c, 9));
	waitpid(child, NULL, 0);
	close(*kept);
}

static void ends_of_waits(void)
{
	make();
	closed_while_waiting("master closed for lines", &slave, &master);
	make();
	change(0, ICANON, 0, 0);
	closed_while_waiting("master closed for bytes", &slave, &master);
	make();
	closed_while_waiting("slave closed", &master, &slave);
}

/* ---- sessions ---- */

static volatile int caught[65];
static void note(int signo) { caught[signo]++; }

static void in_session(void (*what)(void))
{
	int status;
	make();
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		setsid();
		what();
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, &status, 0);
	printf("status %#x\n", status);
	unmake();
}

static void controlling(void)
{
	int n;
	show("no terminal", open("/dev/tty", O_RDWR));
	show("claim", ioctl(slave, TIOCSCTTY, 0));
	show("again", ioctl(slave, TIOCSCTTY, 0));
	show("group", ioctl(slave, TIOCGPGRP, &n));
	printf("%d\n", n == getpgrp());
	ioctl(master, TIOCGPGRP, &n);
	printf("%d\n", n == getpgrp());
	show("session", ioctl(slave, TIOCGSID, &n));
	printf("%d\n", n == getsid(0));
	int tty = open("/dev/tty", O_RDWR);
	printf("%d %d\n", tty > 0,
	       !strcmp(ttyname(slave), ttyname(tty)) || !strcmp(ttyname(tty), "/dev/tty"));
	write(tty, "through tty\n", 12);
	shown("shown");
	n = 999999;
	show("no such group", ioctl(slave, TIOCSPGRP, &n));
	n = -5;
	show("no group", ioctl(slave, TIOCSPGRP, &n));
	n = getppid();
	show("another session's", ioctl(slave, TIOCSPGRP, &n));
	for (int i = 1; i < 32; i++)
		signal(i, note);
	type("a\003");
	settle();
	type("\034\032");
	settle();
	printf("INT %d QUIT %d TSTP %d\n", caught[SIGINT], caught[SIGQUIT], caught[SIGTSTP]);
	shown("echo");
	struct winsize w = { 1, 2 };
	ioctl(master, TIOCSWINSZ, &w);
	ioctl(master, TIOCSWINSZ, &w);
	settle();
	printf("WINCH %d\n", caught[SIGWINCH]);
	show("signal", ioctl(master, TIOCSIG, SIGINT));
	show("signal", ioctl(master, TIOCSIG, SIGUSR1));
	printf("INT %d\n", caught[SIGINT]);
	change(0, ISIG, 0, 0);
	type("\003\n");
	read_one("no signal", slave, 99);
	change(ISIG | NOFLSH, 0, 0, 0);
	type("kept\003\n");
	read_one("no flush", slave, 99);
	show("leave", ioctl(slave, TIOCNOTTY, 0));
	printf("HUP %d CONT %d\n", caught[SIGHUP], caught[SIGCONT]);
	show("no terminal", open("/dev/tty", O_RDWR));
	close(slave);
	slave = open(ptsname(master), O_RDWR);
	show("by opening", ioctl(slave, TIOCGPGRP, &n));
	close(master);
	settle();
	printf("HUP %d CONT %d\n", caught[SIGHUP], caught[SIGCONT]);
	show("group", ioctl(slave, TIOCGPGRP, &n));
}

static void wait_for(pid_t child)
{
	int status;
	waitpid(child, &status, WUNTRACED);
	if (WIFSTOPPED(status))
		printf("stopped by %d\n", WSTOPSIG(status));
	else
		printf("ended %#x\n", status);
}

static void background(void)
{
	char c[99];
	ioctl(slave, TIOCSCTTY, 0);
	signal(SIGTTOU, SIG_IGN);
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		signal(SIGTTOU, SIG_DFL);
		setpgid(0, 0);
		long n = read(slave, c, 99);
		bytes("read in the foreground", c, n);
		fflush(stdout);
		struct termios t;
		tcgetattr(slave, &t);
		tcsetattr(slave, TCSANOW, &t);
		t.c_lflag |= TOSTOP;
		write(slave, "not stopped\n", 12);
		_exit(3);
	}
	setpgid(child, child);
	wait_for(child);
	tcsetpgrp(slave, child);
	kill(-child, SIGCONT);
	type("line\n");
	wait_for(child);
	tcsetpgrp(slave, getpgrp());
	fflush(stdout);
	change(TOSTOP, 0, 0, 0);
	child = fork();
	if (!child) {
		signal(SIGTTOU, SIG_DFL);
		setpgid(0, 0);
		write(slave, "stopped\n", 8);
		signal(SIGTTIN, SIG_IGN);
		show("ignored", read(slave, c, 99));
		fflush(stdout);
		signal(SIGTTIN, SIG_DFL);
		struct termios t;
		tcgetattr(slave, &t);
		tcsetattr(slave, TCSANOW, &t);
		_exit(4);
	}
	setpgid(child, child);
	wait_for(child);
	change(0, TOSTOP, 0, 0);
	kill(-child, SIGCONT);
	wait_for(child);
	tcsetpgrp(slave, child);
	kill(-child, SIGCONT);
	wait_for(child);
	tcsetpgrp(slave, getpgrp());
	/* ^Z of a job, as a shell sees it. */
	fflush(stdout);
	child = fork();
	if (!child) {
		setpgid(0, 0);
		for (;;)
			pause();
	}
	setpgid(child, child);
	tcsetpgrp(slave, child);
	type("\032");
	wait_for(child);
	kill(-child, SIGCONT);
	type("\003");
	wait_for(child);
	tcsetpgrp(slave, getpgrp());
}

/* Who is left behind, stopped, by a parent that ends. */
static void orphans(void)
{
	int p[2];
	char text[64] = { 0 };
	ioctl(slave, TIOCSCTTY, 0);
	pipe(p);
	fflush(stdout);
	pid_t parent = fork();
	if (!parent) {
		pid_t child = fork();
		if (!child) {
			signal(SIGHUP, note);
			setpgid(0, 0);
			raise(SIGSTOP);
			int n = dprintf(p[1], "HUP %d, ", caught[SIGHUP]);
			n = read(slave, text, 9);
			dprintf(p[1], "read %d %s, ", n, n < 0 ? strerror(errno) : "");
			raise(SIGTSTP);
			dprintf(p[1], "not stopped");
			_exit(0);
		}
		setpgid(child, child);
		waitpid(child, NULL, WUNTRACED);
		_exit(0);
	}
	waitpid(parent, NULL, 0);
	close(p[1]);
	for (long n, have = 0; (n = read(p[0], text + have, sizeof(text) - have)) > 0;)
		have += n;
	printf("%s\n", text);
}

/* The leader ends: the others hear of it, and have no terminal any more. */
static void leaving(void)
{
	int p[2];
	char text[128] = { 0 };
	pipe(p);
	make();
	fflush(stdout);
	if (!fork()) {
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		if (!fork()) {
			signal(SIGHUP, note);
			close(p[0]);
			dprintf(p[1], "x");
			while (!caught[SIGHUP])
				usleep(1000);
			int tty; /* it is taken away after the signal */
			for (int tries = 0; tries < 5000; tries++) {
				if ((tty = open("/dev/tty", O_RDWR)) < 0)
					break;
				close(tty);
				usleep(1000);
			}
			char c = 0;
			fcntl(slave, F_SETFL, O_NONBLOCK);
			long n = read(slave, &c, 1), w = write(slave, &c, 1);
			dprintf(p[1], "HUP, read %ld, write %ld %s, tty %d", n, w, strerror(errno),
				tty);
			_exit(0);
		}
		read(p[0], text, 1);
		_exit(0);
	}
	wait(NULL);
	close(p[1]);
	for (long n, have = 0; (n = read(p[0], text + have, sizeof(text) - have)) > 0;)
		have += n;
	printf("%s\n", text);
	ready("master", master);
	unmake();
}

/* Until so many bytes have come to a side: the host hands them on when it has time. */
static void await_bytes(int fd, int expected)
{
	int n = 0;

	for (int tries = 0; tries < 5000 && n < expected; tries++) {
		usleep(1000);
		ioctl(fd, FIONREAD, &n);
	}
}

/* What is dropped by either side: a master's input is what was written to be seen. */
static void flushes(void)
{
	for (int which = 0; which < 8; which++) {
		int m = -1, s = -1, way = which / 2;
		char text[50];

		make();
		m = master, s = slave;
		fcntl(m, F_SETFL, O_NONBLOCK);
		fcntl(s, F_SETFL, O_NONBLOCK);
		if (write(s, "out", 3) != 3 || write(m, "in\n", 3) != 3)
			return;
		await_bytes(m, 7); /* and the echo */
		await_bytes(s, 3);
		printf("flush %d of %s: %d", way, which & 1 ? "slave" : "master",
		       ioctl(which & 1 ? s : m, TCFLSH, way));
		printf(" master %zd", read(m, text, 50));
		printf(" slave %zd\n", read(s, text, 50));
		unmake();
	}
}

/* Who is nobody cannot have the console's output, on either side, nor give it back. */
static void console(void)
{
	make();
	fflush(stdout);
	if (!fork()) {
		if (!geteuid() && (setgid(65534) || setuid(65534)))
			_exit(1);
		for (int i = 0; i < 2; i++) {
			errno = 0;
			int done = ioctl(i ? slave : master, TIOCCONS, 0);
			printf("console %d %s\n", done, strerror(errno));
		}
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	unmake();
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	making();
	lines();
	raw();
	flow();
	packets();
	ends();
	ends_of_waits();
	in_session(controlling);
	in_session(background);
	in_session(orphans);
	leaving();
	flushes();
	console();
	return 0;
}
