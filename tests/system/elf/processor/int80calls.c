/*
 * Calls of the i386 table whose arguments have a layout of their own: locks, sets of descriptors,
 * socketcall and ipc, clone, numbers of 16 bits, times of 32, what file systems tell.
 */
#define _GNU_SOURCE
#include "../int80.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	NICE = 34,
	FCNTL = 55,
	OLDOLDUNAME = 59,
	SGETMASK = 68,
	SSETMASK = 69,
	SIGPENDING = 73,
	GETGROUPS = 80,
	SETGROUPS = 81,
	SELECT = 82,
	GETPRIORITY = 96,
	STATFS = 99,
	FSTATFS = 100,
	SOCKETCALL = 102,
	SETITIMER = 104,
	GETITIMER = 105,
	OLDUNAME = 109,
	IPC_ = 117,
	CLONE = 120,
	SIGPROCMASK = 126,
	GETDENTS = 141,
	NEWSELECT = 142,
	GETRESUID = 165,
	GETRESGID = 171,
	PRCTL = 172,
	RT_SIGPENDING = 176,
	GETGROUPS32 = 205,
	FCNTL64 = 221,
	CLOCK_NANOSLEEP = 267,
	STATFS64 = 268,
	FSTATFS64 = 269,
	UTIMES = 271,
	FUTIMESAT = 299,
	PSELECT6 = 308,
	PPOLL = 309,
	UTIMENSAT = 320,
	SETNS = 346,
	GETSOCKOPT = 365,
	SETSOCKOPT = 366,
	PREADV2 = 378,
	PSELECT6_TIME64 = 413,
	UTIME = 30
};

static char *low;      /* what 32 bits can point to */
static unsigned *word; /* the same, as numbers */
static int file, ends[2];
static char path[300];

static unsigned at(unsigned index) { return (unsigned)(uintptr_t)(word + index); }

static int child(void (*body)(void))
{
	int status;
	fflush(stdout);
	int pid = fork();
	if (!pid) {
		body();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void set_lock(int kind, int start, int length)
{
	short *head = (short *)low;
	head[0] = (short)kind;
	head[1] = SEEK_SET;
	word[1] = (unsigned)start;
	word[2] = (unsigned)length;
	word[3] = 0;
}

static void set_lock64(int kind, int64_t start, int64_t length)
{
	set_lock(kind, 0, 0);
	memcpy(low + 4, &start, 8);
	memcpy(low + 12, &length, 8);
	word[5] = 0;
}

static void locks_of_another(void)
{
	set_lock(F_RDLCK, 0, 0);
	SHOW("who stops it", FCNTL, file, F_GETLK, at(0), 0, 0);
	printf("  %d from %d, %d bytes, of the parent: %d\n", *(short *)low, word[1], word[2],
	       word[3] == (unsigned)getppid());
	SHOW("take it", FCNTL64, file, F_SETLK, at(0), 0, 0);
	set_lock64(F_RDLCK, 0, 0);
	SHOW("who stops it, 64 bits", FCNTL64, file, 12, at(0), 0, 0);
	printf("  %d from %d, %d bytes, of the parent: %d\n", *(short *)low, word[1], word[3],
	       word[5] == (unsigned)getppid());
	set_lock64(F_WRLCK, 16, 5);
	SHOW("take another", FCNTL64, file, 13, at(0), 0, 0);
	SHOW("the open file's", FCNTL64, file, 37, at(0), 0, 0);
	SHOW("a lock of nowhere", FCNTL64, file, 13, 8, 0, 0);
	SHOW("of no file", FCNTL64, 99, 13, 8, 0, 0);
	set_lock(9, 0, 0);
	SHOW("an unknown kind", FCNTL, file, F_SETLK, at(0), 0, 0);
	set_lock(F_WRLCK, -1, 0);
	SHOW("before the beginning", FCNTL, file, F_SETLK, at(0), 0, 0);
}

static void a_lock_far_away(void)
{
	set_lock(F_RDLCK, 0x7fffffff, 0);
	SHOW("its start does not fit", FCNTL, file, F_GETLK, at(0), 0, 0);
}

static void descriptors(void)
{
	struct flock far = { .l_type = F_WRLCK, .l_start = 1L << 33, .l_len = 5 };
	printf("flags %o\n", (int)CALL(FCNTL, L(file), L(F_GETFL)) & O_ACCMODE);
	SHOW("append", FCNTL, file, F_SETFL, O_APPEND, 0, 0);
	SHOW("another number", FCNTL, file, F_DUPFD, 20, 0, 0);
	SHOW("close it at execve", FCNTL, file, F_SETFD, 1, 0, 0);
	SHOW("is it", FCNTL, file, F_GETFD, 0, 0, 0);
	SHOW("no file", FCNTL, 99, F_GETFD, 0, 0, 0);
	SHOW("no command", FCNTL, file, 9999, 0, 0, 0);
	SHOW("how much a pipe holds", FCNTL, ends[0], F_GETPIPE_SZ, 0, 0, 0);
	set_lock(F_WRLCK, 2, 5);
	SHOW("lock", FCNTL, file, F_SETLK, at(0), 0, 0);
	child(locks_of_another);
	fcntl(file, F_SETLK, &far);
	child(a_lock_far_away);
}

static void set_time(int seconds, int parts)
{
	word[2] = (unsigned)seconds;
	word[3] = (unsigned)parts;
}

static void select_(const char *what, int nr, int count)
{
	word[0] = 1u << ends[0];
	SHOW(what, nr, count, at(0), 0, 0, at(2));
	printf("  ready: %d\n", word[0] == 1u << ends[0]);
}

static void waits(void)
{
	set_time(0, 1000);
	select_("select, nothing there", NEWSELECT, ends[0] + 1);
	write(ends[1], "x", 1);
	set_time(5, 0);
	select_("select", NEWSELECT, ends[0] + 1);
	printf("  time is left: %d\n", word[2] <= 5);
	memcpy(word + 10, (unsigned[]){ (unsigned)ends[0] + 1, at(0), 0, 0, at(2) }, 20);
	word[0] = 1u << ends[0];
	SHOW("select, its arguments in memory", SELECT, at(10), 0, 0, 0, 0);
	SHOW("from nowhere", SELECT, 8, 0, 0, 0, 0);
	word[0] = ~0u;
	SHOW("of what is not open", NEWSELECT, 32, at(0), 0, 0, at(2));
	SHOW("of fewer than none", NEWSELECT, -1, 0, 0, 0, at(2));
	set_time(-1, 0);
	SHOW("for less than no time", NEWSELECT, 0, 0, 0, 0, at(2));
	set_time(0, 2000);
	show("pselect6", PSELECT6, 0ul, 0ul, 0ul, 0ul, L(at(2)), 0ul);
	set_time(0, 1000000000);
	show("pselect6, too many parts", PSELECT6, 0ul, 0ul, 0ul, 0ul, L(at(2)), 0ul);
	memcpy(low + 8, (int64_t[]){ 0, 1000 }, 16);
	show("pselect6, times of 64 bits", PSELECT6_TIME64, 0ul, 0ul, 0ul, 0ul, L(at(2)), 0ul);
	word[0] = (unsigned)ends[0];
	word[1] = 1;
	set_time(0, 5);
	SHOW("ppoll", PPOLL, at(0), 1, at(2), 0, 8);
	printf("  found %d\n", word[1] >> 16);
	set_time(0, 1000);
	SHOW("sleep", CLOCK_NANOSLEEP, CLOCK_MONOTONIC, 0, at(2), at(4), 0);
	SHOW("sleep to a time that was", CLOCK_NANOSLEEP, CLOCK_MONOTONIC, 1, at(2), 0, 0);
	SHOW("sleep by no clock", CLOCK_NANOSLEEP, 99, 0, at(2), 0, 0);
	memcpy(word, (unsigned[]){ 0, 0, 100, 0 }, 16);
	SHOW("a timer", SETITIMER, 0, at(0), at(10), 0, 0);
	SHOW("what is left of it", GETITIMER, 0, at(10), 0, 0, 0);
	printf("  %d\n", word[12] == 99 || word[12] == 100);
	word[2] = 0;
	SHOW("off", SETITIMER, 0, at(0), at(10), 0, 0);
	word[3] = 1000000;
	SHOW("too many parts", SETITIMER, 0, at(0), 0, 0, 0);
	SHOW("no such timer", SETITIMER, 9, at(0), 0, 0, 0);
}

static int socketcall(const char *what, int number, const unsigned *args)
{
	memcpy(word + 40, args, 24);
	return SHOW(what, SOCKETCALL, number, at(40), 0, 0, 0);
}

#define SOCKET(what, number, ...) socketcall(what, number, (unsigned[6]){ __VA_ARGS__ })

static void sockets(void)
{
	SOCKET("socketpair", 8, AF_UNIX, SOCK_STREAM, 0, at(100));
	strcpy(low + 600, "abcdef");
	SOCKET("send", 9, word[100], at(150), 6, 0);
	SOCKET("recv", 10, word[101], at(175), 100, 0);
	printf("  %s\n", low + 700);
	unsigned listener = SOCKET("socket", 1, AF_INET, SOCK_STREAM, 0);
	memset(low + 800, 0, 16);
	word[200] = AF_INET;
	word[201] = 0x0100007f;
	SOCKET("bind", 2, listener, at(200), 16);
	SOCKET("listen", 4, listener, 5);
	word[225] = 16;
	SOCKET("getsockname", 6, listener, at(210), at(225));
	printf("  %d bytes\n", word[225]);
	SOCKET("getpeername", 7, listener, at(210), at(225));
	unsigned client = SOCKET("socket", 1, AF_INET, SOCK_STREAM, 0);
	SOCKET("connect", 3, client, at(210), 16);
	SOCKET("accept", 5, listener, 0, 0);
	SOCKET("shutdown", 13, client, 1);
	word[250] = 1;
	word[251] = 4;
	SOCKET("setsockopt", 14, listener, SOL_SOCKET, SO_REUSEADDR, at(250), 4);
	SOCKET("getsockopt", 15, listener, SOL_SOCKET, SO_TYPE, at(250), at(251));
	printf("  %d\n", word[250]);
	SHOW("getsockopt", GETSOCKOPT, listener, SOL_SOCKET, SO_ERROR, at(250), at(251));
	SHOW("setsockopt", SETSOCKOPT, listener, SOL_SOCKET, SO_REUSEADDR, at(250), 4);
	SOCKET("none", 0, 0);
	SOCKET("one too many", 21, 0);
	SHOW("from nowhere", SOCKETCALL, 1, 8, 0, 0, 0);
}

static void clones(void)
{
	int status;
	fflush(stdout);
	int pid = (int)CALL(CLONE, L(SIGCHLD));
	if (!pid)
		_exit(5);
	waitpid(pid, &status, 0);
	printf("a child's status: %d\n", WEXITSTATUS(status));
	unsigned flags = SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID;
	pid = (int)call_i386(CLONE, L(flags), 0ul, L(at(0)), 0ul, L(at(1)), 0ul);
	if (!pid)
		_exit(word[1] == (unsigned)getpid() ? 7 : 8);
	waitpid(pid, &status, 0);
	printf("it knows its number: %d, so do we: %d\n", WEXITSTATUS(status),
	       word[0] == (unsigned)pid);
	SHOW("a thread without memory", CLONE, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0);
	pid = (int)CALL(CLONE, L(SIGCHLD | CLONE_VFORK | CLONE_VM));
	if (!pid) {
		word[5] = 77;
		_exit(0);
	}
	waitpid(pid, 0, 0);
	printf("what a child with our memory stored: %d\n", word[5]);
}

static void numbers(void)
{
	unsigned short *ids = (unsigned short *)low;
	SHOW("real, effective, saved user", GETRESUID, at(0), at(1), at(2), 0, 0);
	SHOW("groups from nowhere", GETRESGID, at(0), at(1), 8, 0, 0);
	SHOW("too few groups", GETGROUPS, -1, at(0), 0, 0, 0);
	SHOW("too many groups", SETGROUPS, 70000, at(0), 0, 0, 0);
	if (setgroups(2, (gid_t[]){ 5, 100000 }) == 0) {
		SHOW("groups", GETGROUPS, 9, at(0), 0, 0, 0);
		printf("  %d %d\n", ids[0], ids[1]);
		SHOW("room for one", GETGROUPS, 1, at(0), 0, 0, 0);
		SHOW("groups of 32 bits", GETGROUPS32, 9, at(0), 0, 0, 0);
		ids[0] = 7, ids[1] = 9;
		SHOW("other groups", SETGROUPS, 2, at(0), 0, 0, 0);
		SHOW("how many", GETGROUPS, 0, 0, 0, 0, 0);
	}
	int before = (int)CALL(GETPRIORITY);
	SHOW("nicer", NICE, 3, 0, 0, 0, 0);
	printf("  by %d\n", before - (int)CALL(GETPRIORITY));
	SHOW("as nice as can be", NICE, 100, 0, 0, 0, 0);
	SHOW("how nice", GETPRIORITY, 0, 0, 0, 0, 0);
}

static void systems(void)
{
	strcpy(low + 2000, "/dev/shm");
	SHOW("statfs", STATFS, at(500), at(0), 0, 0, 0);
	printf("  %x, blocks of %d, names of %d\n", word[0], word[1], word[9]);
	SHOW("statfs64", STATFS64, at(500), 84, at(0), 0, 0);
	printf("  %x, blocks of %d\n", word[0], word[1]);
	SHOW("of another size", STATFS64, at(500), 88, at(0), 0, 0);
	SHOW("fstatfs64", FSTATFS64, file, 84, at(0), 0, 0);
	SHOW("to nowhere", STATFS, at(500), 8, 0, 0, 0);
	SHOW("of nothing", FSTATFS, 99, at(0), 0, 0, 0);
	mkdir("/dev/shm/int80calls", 0700);
	int folder = open("/dev/shm/int80calls", O_RDONLY);
	SHOW("entries", GETDENTS, folder, at(0), 100, 0, 0);
	printf("  %s %d %s %d\n", low + 10, low[15], low + 26, low[31]);
	SHOW("the end", GETDENTS, folder, at(0), 100, 0, 0);
	SHOW("of a file", GETDENTS, file, at(0), 100, 0, 0);
	lseek(folder, 0, SEEK_SET);
	SHOW("into three bytes", GETDENTS, folder, at(0), 3, 0, 0);
	rmdir("/dev/shm/int80calls");
}

static void show_times(void)
{
	struct stat st;
	fstat(file, &st);
	printf("  %ld.%09ld %ld.%09ld\n", st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec,
	       st.st_mtim.tv_nsec);
}

static void times_of_files(void)
{
	strcpy(low + 2000, path);
	memcpy(word, (unsigned[]){ 100, 200 }, 8);
	SHOW("utime", UTIME, at(500), at(0), 0, 0, 0);
	show_times();
	memcpy(word, (unsigned[]){ 5, 6, 7, 8 }, 16);
	SHOW("utimes", UTIMES, at(500), at(0), 0, 0, 0);
	show_times();
	SHOW("utimensat", UTIMENSAT, AT_FDCWD, at(500), at(0), 0, 0);
	show_times();
	SHOW("futimesat", FUTIMESAT, AT_FDCWD, at(500), at(0), 0, 0);
	show_times();
	word[1] = 1000000000;
	SHOW("too many parts", UTIMENSAT, AT_FDCWD, at(500), at(0), 0, 0);
	word[1] = 1000000;
	SHOW("too many parts", UTIMES, at(500), at(0), 0, 0, 0);
	word[1] = word[3] = 0x3ffffffe;
	SHOW("neither of them", UTIMENSAT, AT_FDCWD, 8, at(0), 0, 0);
	word[0] = at(175), word[1] = 3;
	SHOW("preadv2", PREADV2, file, at(0), 1, 2, 0);
	printf("  %.3s\n", low + 700);
}

static void nothing(int signo) {}

static void signals_(void)
{
	signal(SIGUSR1, nothing);
	word[0] = 1 << (SIGUSR1 - 1);
	SHOW("block", SIGPROCMASK, SIG_BLOCK, at(0), at(1), 0, 0);
	SHOW("blocked", SGETMASK, 0, 0, 0, 0, 0);
	raise(SIGUSR1);
	SHOW("pending", SIGPENDING, at(0), 0, 0, 0, 0);
	printf("  %x\n", word[0]);
	SHOW("pending, 64 of them", RT_SIGPENDING, at(0), 8, 0, 0, 0);
	SHOW("pending, too many", RT_SIGPENDING, at(0), 9, 0, 0, 0);
	SHOW("others", SSETMASK, 0x3000, 0, 0, 0, 0);
	SHOW("blocked", SGETMASK, 0, 0, 0, 0, 0);
	word[0] = 0;
	SHOW("none", SIGPROCMASK, SIG_SETMASK, at(0), 0, 0, 0);
	SHOW("no such way", SIGPROCMASK, 7, at(0), 0, 0, 0);
	SHOW("dumpable", PRCTL, PR_GET_DUMPABLE, 0, 0, 0, 0);
	SHOW("no such option", PRCTL, 9999, 0, 0, 0, 0);
}

static void objects(void)
{
	int id = (int)CALL(IPC_, 23ul, 0ul, 4096ul, 0600ul);
	printf("a segment: %d\n", id >= 0);
	SHOW("attach", IPC_, 21, id, 0, at(0), 0);
	unsigned where = word[0];
	printf("  below 4 GiB: %d\n", where != 0);
	show("detach", IPC_, 22ul, 0ul, 0ul, 0ul, L(where), 0ul);
	show("again", IPC_, 22ul, 0ul, 0ul, 0ul, L(where), 0ul);
	SHOW("attach as of old", IPC_, 21 | 1 << 16, id, 0, at(0), 0);
	shmctl(id, IPC_RMID, 0);
	SHOW("too few semaphores", IPC_, 2, 0, -1, 0600, 0);
	SHOW("none", IPC_, 0, 0, 0, 0, 0);
	SHOW("no such", IPC_, 99, 0, 0, 0, 0);
}

static void names(void)
{
	memset(low, '#', 400);
	SHOW("olduname", OLDUNAME, at(0), 0, 0, 0, 0);
	printf("  %s, %d bytes\n", low, (int)strcspn(low + 260, "#"));
	SHOW("oldolduname", OLDOLDUNAME, at(0), 0, 0, 0, 0);
	printf("  %s\n", low);
	static const int gone[] = { 17,  31,  32,  35,  44,  53,  56,  58,  98,  112, 127, 130,
				    137, 167, 169, 188, 189, 222, 223, 251, 253, 273, 285, 500 };
	for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
		printf("%d: %ld\n", gone[i], CALL(L(gone[i])));
	SHOW("setns", SETNS, 99, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
	low = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
		   -1, 0);
	word = (unsigned *)low;
	for (int fd = 3; fd < 300; fd++)
		close(fd); /* what was inherited: numbers are shown */
	snprintf(path, sizeof path, "%s/int80calls", argv[1]);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	write(file, "hello world", 11);
	pipe(ends);
	descriptors();
	waits();
	sockets();
	clones();
	systems();
	times_of_files();
	signals_();
	objects();
	names();
	numbers();
	unlink(path);
	return 0;
}
