/* Which ioctls the two sides of a pseudo-terminal have, line speeds, locked settings, big numbers. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* struct termios2, which no header has beside <termios.h>. */
struct settings {
	unsigned int iflag, oflag, cflag, lflag;
	unsigned char line, cc[19];
	unsigned int ispeed, ospeed;
};

enum { GET = 0x5401, SET = 0x5402, GET_OLD = 0x5405, SET_OLD = 0x5406 };
#define GET2 0x802C542AUL
#define SET2 0x402C542BUL
#define SPEED_BITS 0x100Fu

static int master, slave;

static int ioctl_of(unsigned long request, int fd, unsigned char *data)
{
	if (request > GET && request <= SET + 2)
		ioctl(fd, GET, data);
	else if (request > GET_OLD && request <= SET_OLD + 2)
		ioctl(fd, GET_OLD, data);
	else if (request >= SET2 && request <= SET2 + 2)
		ioctl(fd, GET2, data);
	return ioctl(fd, request, data);
}

static void try(const char *side, int fd, unsigned long request)
{
	unsigned char data[64] = { 0 };
	int result = ioctl_of(request, fd, data), last = sizeof(data);
	if (result < 0 && errno == ENOTTY)
		return;
	printf("%s %lx: %d %s", side, request, result, result < 0 ? strerror(errno) : "");
	if (request == TIOCGPTN || request == 0x80045432)
		last = 0; /* others may have terminals, too */
	while (last > 0 && !data[last - 1])
		last--;
	for (int i = 0; i < last; i++)
		printf(" %02x", data[i]);
	putchar('\n');
}

static void all_requests(const char *side, int fd)
{
	/* TCXONC waits, TIOCSCTTY and TIOCVHANGUP take or end it, TIOCCONS and TIOCGPTPEER do more. */
	static const unsigned long left_out[] = { 0x540A, 0x540E, 0x541D, 0x5437, 0x5441, 0x5450 };
	static const unsigned long more[] = { 0x80045430, 0x80045432, 0x80045438, 0x80045439,
					      0x80045440, GET2,       SET2,       SET2 + 1,
					      SET2 + 2,   0x80285442, 0xc0285443 };
	for (unsigned long request = GET; request < 0x5470; request++) {
		int skip = request == TIOCSTI && fd == slave; /* its echo comes when it comes */
		for (unsigned int i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
			skip |= request == left_out[i];
		if (!skip)
			try(side, fd, request);
	}
	for (unsigned int i = 0; i < sizeof(more) / sizeof(*more); i++)
		try(side, fd, more[i]);
}

static void show(const char *what)
{
	struct settings now = { 0 };
	ioctl(slave, GET2, &now);
	printf("%s: i %x o %x c %x l %x line %d, %u and %u bits a second, cc", what, now.iflag,
	       now.oflag, now.cflag, now.lflag, now.line, now.ispeed, now.ospeed);
	for (int i = 0; i < 19; i++)
		printf(" %x", now.cc[i]);
	putchar('\n');
}

static void set_speed(const char *what, unsigned long request, unsigned int bits, unsigned int in,
		      unsigned int out)
{
	struct settings now = { 0 };
	ioctl(slave, GET2, &now);
	now.cflag = (now.cflag & ~(SPEED_BITS | SPEED_BITS << 16)) | bits;
	now.ispeed = in;
	now.ospeed = out;
	printf("%d ", ioctl(slave, request, &now));
	show(what);
}

static void speeds(void)
{
	set_speed("B9600", SET, 0xD, 1, 2);
	set_speed("B115200", SET, 0x1002, 1, 2);
	set_speed("B4000000", SET, 0x100F, 1, 2);
	set_speed("B0", SET, 0, 1, 2);
	set_speed("other", SET2, 0x1000, 12345, 54321);
	set_speed("left as it is", SET, 0x1000, 1, 2);
	set_speed("B19200 and other words", SET2, 0xE, 777, 888);
	set_speed("another one in", SET2, 0xE | 0x1003 << 16, 777, 888);
	set_speed("another one in, in words", SET2, 0xE | 0x1000 << 16, 777, 888);
}

static void locked(void)
{
	struct settings lock = { 0 }, now = { 0 };
	ioctl(slave, GET2, &now);
	lock.lflag = 8; /* ECHO */
	lock.cflag = 0xF;
	lock.cc[2] = 1;
	lock.line = 1;
	printf("lock %d\n", ioctl(slave, 0x5457, &lock));
	now.lflag ^= 8 | 0x100;
	now.cflag ^= 0xF;
	now.cc[2] = 'x';
	now.cc[3] = 'y';
	now.line = 5;
	printf("set %d\n", ioctl(slave, SET2, &now));
	show("locked");
	memset(&lock, 0xff, sizeof(lock));
	printf("locked %d, %x %x %x\n", ioctl(slave, 0x5456, &lock), lock.lflag, lock.cc[2],
	       lock.cc[3]);
	memset(&lock, 0, sizeof(lock));
	printf("open it %d\n", ioctl(slave, 0x5457, &lock));
	printf("local %d\n", ioctl(slave, 0x541A, &(int){ 1 }));
	show("local");
	try("slave", slave, 0x5419);
	now.line = 7;
	int line = -1;
	printf("another line %d", ioctl(slave, SET2, &now));
	printf(" discipline %d", ioctl(slave, 0x5424, &line));
	printf(" %d\n", line);
	printf("its peer %d %d\n", ioctl(slave, 0x5441, O_RDWR), errno);
}

static void old_settings(void)
{
	unsigned char old[18];
	ioctl(slave, GET_OLD, old);
	old[0] ^= 1;
	old[9] = 'z';
	printf("%d ", ioctl(slave, SET_OLD, old));
	show("by struct termio");
}

static void many(void)
{
	struct rlimit files = { 400, 400 };
	struct stat status;
	setrlimit(RLIMIT_NOFILE, &files);
	for (int n = 0; n < 270; n++) {
		int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY), peer, device = 0;
		if (n < 260 || unlockpt(fd) < 0)
			continue;
		peer = ioctl(fd, 0x5441, O_RDWR | O_NOCTTY);
		fstat(peer, &status);
		ioctl(peer, 0x80045432, &device);
		printf("major %lx, as one number %d\n", status.st_rdev >> 8 & 0xfff,
		       (unsigned int)device == status.st_rdev);
		close(peer);
	}
}

int main(void)
{
	signal(SIGHUP, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	setsid();
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	unlockpt(master);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	show("first");
	all_requests("slave", slave);
	all_requests("master", master);
	speeds();
	old_settings();
	locked();
	many();
	return 0;
}
