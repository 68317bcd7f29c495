/*
 * Calls with rare and wrong arguments, each in a process of its own: what each returns, or how its
 * process ends. Who starts it: it is an ordinary user in namespaces of its own from its first line
 * on, and its root is a tmpfs.
 *
 * matrix SEED FIRST COUNT [root]: the COUNT calls from the FIRST-th of a seed on; root: with all
 * rights in the namespaces of its own.
 */
#define _GNU_SOURCE
#include "matrix.h"
#include "userns.h"
#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <netinet/in.h>

enum {
	NOBODIES = 61000,
	NR_NOBODIES = 4000,
	LINE = 400,
	NR_STDIO = 3,
	OF_DEV = 40,
	PAGE_BYTES = 4096
};

static uint64_t state;

static unsigned long next(unsigned long below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

/* ---- what arguments point to ---- */

static void store(long at, const void *from, size_t nbytes) { memcpy((char *)at, from, nbytes); }

static void text(long at, const char *what) { store(at, what, strlen(what) + 1); }

static void lay_out_memory(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	mmap((void *)RW, 32 * PAGE_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
	mmap((void *)RO, 2 * PAGE_BYTES, PROT_READ, flags, -1, 0);
	mmap((void *)NONE, 2 * PAGE_BYTES, PROT_NONE, flags, -1, 0);
	mmap((void *)ZERO, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
	mmap((void *)SHARED, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
	     FILE_FD, 0);
	text(FILE_AT, "file");
	text(DIR_AT, "dir");
	text(MISSING_AT, "missing");
	text(BELOW_FILE_AT, "file/x");
	text(LINK_AT, "link");
	text(LOOP_AT, "loop");
	text(SLASH_AT, "dir/");
	text(FILE_SLASH_AT, "file/");
	text(INNER_AT, "dir/inner");
	text(PROGRAM_AT, "program");
	text(CLOSED_AT, "closed/x");
	text(DOT_AT, ".");
	text(DOTS_AT, "..");
	text(ROOT_AT, "/");
	text(XATTR_AT, "user.name");
	text(XATTR2_AT, "security.x");
	text(XATTR3_AT, "other.x");
	text(TMPFS_AT, "tmpfs");
	text(OTHER_FILE_AT, "other");
	memset((char *)LONG_NAME_AT, 'n', 256);
	memset((char *)LONG_PATH_AT, 'p', PAGE_BYTES + 10);
	for (int i = 3; i < PAGE_BYTES; i += 4)
		*(char *)(LONG_PATH_AT + i) = '/';
	memset((char *)UNENDED_AT, 'u', 4);
	memset((char *)ONES, 0xff, 256);
	for (int i = 0; i < 64; i++)
		((int *)INTS)[i] = i;
	for (int i = 0; i < 64; i++)
		((long *)LONGS)[i] = i;
	long times[][4] = { { 0, 1000, 0, 1000 },    { 0, -1, 0, 0 },      { -1, 0, 0, 0 },
			    { 0, 1000000000, 0, 0 }, { 0, 0, 0, 1000000 }, { 0, 0, 0, 0 },
			    { 1l << 62, 0, 0, 0 } };
	store(TIMES, times, sizeof times);
	long parts[][4] = {
		{ RW, 8, RW + 8, 8 },   { RW, 8, 16, 8 }, { NONE, 8, RW, 8 },
		{ RW, -1, RW, 8 },      { RW, 0, 16, 0 }, { RW, 1l << 62, RW, 8 },
		{ RW, 8, -4096, 8 },    { RO, 8, RW, 8 }, { RW, 8, RW, -1 },
		{ EDGE - 4, 8, RW, 8 },
	};
	store(PARTS, parts, sizeof parts);
	long words[][4] = { { FILE_AT, DIR_AT, 0, 0 }, { 16, 0, 0, 0 }, { FILE_AT, NONE, 0, 0 },
			    { EDGE - 4, 0, 0, 0 },     { 0, 0, 0, 0 },  { -4096, 0, 0, 0 } };
	store(WORDS, words, sizeof words);
	struct sockaddr_in to = { AF_INET, htons(9), { htonl(INADDR_LOOPBACK) } };
	store(ADDRESS, &to, sizeof to);
	struct pollfd wait[] = { { FILE_FD, POLLIN }, { 99, POLLIN }, { -1, POLLIN } };
	store(POLLS, wait, sizeof wait);
	struct msghdr headers[] = {
		{ 0, 0, (void *)PARTS, 1 },
		{ 0, 0, (void *)16, 1 },
		{ (void *)16, 16, (void *)PARTS, 1 },
		{ (void *)ADDRESS, 16, (void *)PARTS, 1 },
		{ 0, 0, (void *)PARTS, 2000 },
		{ 0, 0, (void *)PARTS, 1, (void *)16, 24 },
		{ 0, 0, (void *)PARTS, 1, (void *)ZERO, 24 },
		{ (void *)ADDRESS, -1, (void *)PARTS, 1 },
		{ 0, 0, (void *)(PARTS + 32), 2 },
		{ 0, 0, (void *)PARTS, 1, (void *)ZERO, 1 << 30 },
	};
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
		store(HEADERS + 64 * (long)i, headers + i, sizeof *headers);
}

/* ---- descriptors ---- */

static void put_at(int wanted, int fd)
{
	if (fd == wanted)
		return;
	dup2(fd, wanted);
	close(fd);
}

static void make_file(const char *name, size_t nbytes, int mode)
{
	int fd = open(name, O_RDWR | O_CREAT, mode);
	ftruncate(fd, (off_t)nbytes);
	close(fd);
}

static void a_socket(int wanted, int family, int type)
{
	put_at(wanted, socket(family, type | SOCK_NONBLOCK, 0));
}

static void make_files(void)
{
	make_file("file", 2 * PAGE_BYTES, 0644);
	make_file("other", 10, 0644);
	make_file("program", 100, 0755);
	mkdir("dir", 0755);
	make_file("dir/inner", 1, 0600);
	symlink("file", "link");
	symlink("loop", "loop");
	mkdir("closed", 0);
	mkdir("gone", 0755);
}

static void open_files(void)
{
	int two[2];
	sigset_t set;
	struct sockaddr_in any = { AF_INET, 0, { htonl(INADDR_LOOPBACK) } };
	put_at(FILE_FD, open("file", O_RDWR));
	put_at(READ_FD, open("file", O_RDONLY));
	put_at(WRITE_FD, open("file", O_WRONLY));
	put_at(DIR_FD, open("dir", O_RDONLY));
	pipe2(two, O_NONBLOCK);
	put_at(PIPE_FD, two[0]);
	put_at(PIPE_IN_FD, two[1]);
	write(PIPE_IN_FD, "0123456789", 10);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, two);
	put_at(STREAM_FD, two[0]);
	put_at(STREAM2_FD, two[1]);
	write(STREAM2_FD, "0123456789", 10);
	socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, two);
	put_at(PACKET_FD, two[0]);
	put_at(PACKET2_FD, two[1]);
	write(PACKET2_FD, "0123456789", 10);
	a_socket(TCP_FD, AF_INET, SOCK_STREAM);
	a_socket(LISTEN_FD, AF_INET, SOCK_STREAM);
	bind(LISTEN_FD, (struct sockaddr *)&any, sizeof any);
	listen(LISTEN_FD, 1);
	a_socket(UDP_FD, AF_INET, SOCK_DGRAM);
	put_at(EVENT_FD, eventfd(0, EFD_NONBLOCK));
	put_at(EPOLL_FD, epoll_create1(0));
	put_at(TIMER_FD, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	sigemptyset(&set);
	put_at(SIGNAL_FD, signalfd(-1, &set, SFD_NONBLOCK));
	put_at(WATCH_FD, inotify_init1(IN_NONBLOCK));
	put_at(MEMORY_FD, memfd_create("memory", MFD_ALLOW_SEALING));
	put_at(PATH_FD, open("file", O_PATH));
	put_at(PATH_DIR_FD, open("dir", O_PATH));
	put_at(PID_FD, (int)syscall(SYS_pidfd_open, getpid(), 0));
	put_at(APPEND_FD, open("file", O_WRONLY | O_APPEND));
	put_at(GONE_FD, open("gone", O_RDONLY));
	rmdir("gone");
	for (int fd = 0; fd < NR_STDIO; fd++)
		dup2(NULL_FD, fd);
}

/* ---- one call ---- */

static const struct call *choose(void) { return calls + next(sizeof calls / sizeof *calls); }

static const struct value *pick(char kind)
{
	const struct kind *from = kinds;
	while (from->letter != kind)
		from++;
	if (next(100) < 55)
		return from->values + next((unsigned long)from->usual);
	return from->values + next((unsigned long)from->count);
}

/* A flag: none, one bit alone, or all of them. */
static long flags(char *name)
{
	unsigned long way = next(40), bit = next(32);
	long value = way < 14 ? 0 : way < 38 ? 1l << bit : way < 39 ? -1 : 1l << (32 + bit);
	sprintf(name, "%lx", value);
	return value;
}

static char *line; /* what the child says */

static void make_call(void)
{
	const struct call *made = choose();
	long a[6] = { 0 };
	char *end = line + sprintf(line, "%s", made->name), name[30];
	for (int i = 0; made->kinds[i]; i++) {
		if (made->kinds[i] == 'f') {
			a[i] = flags(name);
			end += sprintf(end, " %s", name);
			continue;
		}
		const struct value *value = pick(made->kinds[i]);
		a[i] = value->value == SELF ? getpid() : value->value;
		end += sprintf(end, " %s", value->name);
	}
	long found = call(made->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (found > 0 && (made->nr == SYS_times || made->nr == SYS_sched_getaffinity))
		found = 1; /* what is the machine's */
	if (found > 100000 || found < -4095)
		found = 1;
	if ((made->nr == SYS_socket || made->nr == SYS_socketpair) && found == -ESOCKTNOSUPPORT &&
	    a[0] > AF_PACKET)
		found = -EAFNOSUPPORT; /* families that some kernels have as modules */
	sprintf(end, ": %ld", found);
}

static void one(int seed, int number, int root)
{
	char folder[20];
	state = 88172645463325252ul + (unsigned long)seed * 1000003 + (unsigned long)number * 7919;
	for (int i = 0; i < 8; i++)
		next(2);
	sprintf(folder, "/%d", number);
	close(PROC_FD);
	mkdir(folder, 0755);
	chdir(folder);
	make_files();
	open_files();
	lay_out_memory();
	if (root)
		unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET);
	make_call();
	syscall(SYS_exit_group, 0);
}

static void clear(const char *folder)
{
	DIR *from = opendir(folder);
	struct dirent *entry;
	if (!from || chdir(folder))
		return;
	while ((entry = readdir(from)))
		if (unlink(entry->d_name) && entry->d_name[0] != '.') {
			chmod(entry->d_name, 0700);
			clear(entry->d_name);
			rmdir(entry->d_name);
		}
	closedir(from);
	chdir("..");
}

static void read_at(int folder, const char *name, char *text, size_t nbytes)
{
	int fd = openat(folder, name, O_RDONLY);
	memset(text, 0, nbytes);
	read(fd, text, nbytes - 1);
	close(fd);
}

/* Whether a process sleeps until a signal comes, or is stopped; by its number in the namespace of that /proc. */
static int rests(int pidfd)
{
	char name[40], text[400], *found;
	sprintf(name, "self/fdinfo/%d", pidfd);
	read_at(PROC_FD, name, text, sizeof text);
	found = strstr(text, "Pid:");
	sprintf(name, "%d/stat", found ? atoi(found + 4) : 0);
	read_at(PROC_FD, name, text, sizeof text);
	found = strrchr(text, ')');
	return found && strchr("STt", found[2]);
}

/*
 * Return how a call ended. One that sleeps whatever comes is woken by SIGALRM once it was asleep at two looks in a row,
 * for a busy host may take any time to come to the call, and killed if it sleeps on, or is stopped.
 */
static int status_of(pid_t child)
{
	struct pollfd end = { (int)syscall(SYS_pidfd_open, child, 0), POLLIN };
	int status;
	for (int looks = 0; poll(&end, 1, 150) < 1;) {
		looks = rests(end.fd) ? looks + 1 : 0;
		if (looks > 1)
			kill(child, looks > 3 ? SIGKILL : SIGALRM);
	}
	close(end.fd);
	waitpid(child, &status, __WALL);
	return status;
}

static void all(int seed, int first, int count, int root)
{
	for (int i = first; i < first + count; i++) {
		char folder[20];
		int status;
		sprintf(folder, "/%d", i);
		memset(line, 0, LINE);
		fflush(stdout);
		pid_t child = fork();
		if (!child)
			one(seed, i, root);
		status = status_of(child);
		kill(-1, SIGKILL);
		while (waitpid(-1, 0, __WALL) > 0)
			;
		printf("%d %s", i, line);
		if (status)
			printf(" ended by %d", WIFEXITED(status) ? -1 : WTERMSIG(status));
		printf("\n");
		chmod("/", 0755);
		chdir("/");
		clear(folder);
		rmdir(folder);
	}
}

/* Become a user without rights, in namespaces of its own, whose files are a tmpfs. */
static void leave(void)
{
	uid = gid = NOBODIES + (unsigned)getpid() % NR_NOBODIES; /* nobody else's */
	setgroups(0, 0);
	setresgid(gid, gid, gid);
	setresuid(uid, uid, uid);
	prctl(PR_SET_DUMPABLE, 1);
	if (be_root(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS))
		_exit(9);
}

static void own_root(void)
{
	if (mount("none", "/", 0, MS_REC | MS_PRIVATE, 0) ||
	    mount("matrix", "/tmp", "tmpfs", 0, "mode=755") || chdir("/tmp") ||
	    syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		_exit(8);
}

static void drop_rights(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { 0 };
	syscall(SYS_capset, &header, none);
}

int main(int argc, char **argv)
{
	int status, root = argc > 4, null = open("/dev/null", O_RDWR),
		    zero = open("/dev/zero", O_RDWR);
	stack_t nowhere = { .ss_flags = SS_DISABLE };
	struct rlimit file = { 1 << 20, 1 << 20 }, core = { 0, 0 }, files = { 1024, 1024 };
	line = mmap(0, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	put_at(NULL_FD, null);
	put_at(ZERO_FD, zero);
	put_at(PROC_FD, open("/proc", O_PATH | O_DIRECTORY));
	sigaltstack(&nowhere, 0); /* an execve keeps the flags of one */
	leave();
	if (!fork()) {
		setsid(); /* what goes to the group stays in the namespace */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		own_root();
		for (int fd = NR_STDIO; fd < 1000; fd++)
			if (fd != NULL_FD && fd != ZERO_FD && fd != PROC_FD)
				close(fd);
		setrlimit(RLIMIT_FSIZE, &file);
		setrlimit(RLIMIT_CORE, &core);
		setrlimit(RLIMIT_NOFILE, &files);
		umask(022);
		if (!root)
			drop_rights();
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		all(atoi(argv[1]), atoi(argv[2]), atoi(argv[3]), root);
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	return status ? 7 : 0;
}
