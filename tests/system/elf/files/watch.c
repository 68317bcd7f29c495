/* inotify: what each call tells, in which order; watches, limits and odd arguments. */
#define _GNU_SOURCE
#include "asleep.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int watch;
static unsigned last_cookie, nr_cookies;

static void say(const char *what, long result)
{
	printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "",
	       result < 0 ? strerror(errno) : "");
}

/* Read what waits; cookies are counted, as other tasks take some too; what has no name has a number (#). */
static void show(const char *what)
{
	static char data[65536];
	printf("%s:\n", what);
	for (;;) {
		long nr = read(watch, data, sizeof(data));
		if (nr <= 0)
			break;
		for (char *at = data; at < data + nr;) {
			struct inotify_event *e = (struct inotify_event *)at;
			nr_cookies += e->cookie && e->cookie != last_cookie;
			last_cookie = e->cookie ? e->cookie : last_cookie;
			printf("  wd %d mask %x cookie %u len %u %s\n", e->wd, e->mask,
			       e->cookie ? nr_cookies : 0, e->len,
			       !e->len           ? ""
			       : *e->name == '#' ? "#"
						 : e->name);
			at += sizeof(*e) + e->len;
		}
	}
}

static void remove_all(void)
{
	struct dirent *entry;
	DIR *dir = opendir("d");
	while ((entry = readdir(dir)) && !chdir("d")) {
		if (unlink(entry->d_name))
			rmdir(entry->d_name);
		chdir("..");
	}
	closedir(dir);
	rmdir("d");
}

static void executed(const char *path)
{
	pid_t pid = fork();
	if (!pid) {
		execl(path, path, "ends", NULL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	show(path);
}

/* What execve reads of a text, and of a copy of this program, which ends if it has an argument. */
static void execve_reads(void)
{
	mkdir("d", 0755);
	int text = open("d/text", O_WRONLY | O_CREAT, 0700), own = open("/proc/self/exe", O_RDONLY);
	int copy = open("d/copy", O_WRONLY | O_CREAT, 0700);
	write(text, "no program", 10);
	while (sendfile(copy, own, NULL, 1 << 20) > 0)
		;
	close(text);
	close(own);
	close(copy);
	int wd = inotify_add_watch(watch, "d", IN_ALL_EVENTS);
	executed("d/text");
	executed("d/copy");
	inotify_rm_watch(watch, wd);
	show("no more");
	remove_all();
}

static void files(void)
{
	char data[10];
	struct stat st;
	mkdir("d", 0755);
	say("watch", inotify_add_watch(watch, "d", IN_ALL_EVENTS));
	int fd = open("d/file", O_RDWR | O_CREAT | O_TRUNC, 0644);
	show("create");
	write(fd, "hello", 5);
	write(fd, "world", 5);
	show("write twice");
	pwrite(fd, "x", 1, 3);
	pread(fd, data, 4, 0);
	lseek(fd, 0, SEEK_END);
	read(fd, data, 4);
	show("pwrite, pread, read nothing");
	readv(fd, &(struct iovec){ data, 4 }, 1);
	show("readv nothing");
	ftruncate(fd, 3);
	show("ftruncate");
	fallocate(fd, 0, 0, 100);
	show("fallocate");
	fchmod(fd, 0600);
	chmod("d/file", 0644);
	chown("d/file", -1, -1);
	show("chmod");
	close(fd);
	show("close");
	utimensat(AT_FDCWD, "d/file", NULL, 0);
	show("utimes");
	utimensat(AT_FDCWD, "d/file", (struct timespec[2]){ { 5, 0 }, { 0, UTIME_OMIT } }, 0);
	show("atime alone");
	utimensat(AT_FDCWD, "d/file", (struct timespec[2]){ { 0, UTIME_OMIT }, { 5, 0 } }, 0);
	show("mtime alone");
	chown("d/file", -1, -1);
	show("no owner");
	truncate("d/file", 1);
	show("truncate");
	fd = open("d/file", O_RDONLY);
	close(fd);
	fd = open("d/file", O_WRONLY | O_TRUNC);
	close(fd);
	fd = open("d/file", O_PATH);
	close(fd);
	stat("d/file", &st);
	access("d/file", R_OK);
	show("open and close");
	link("d/file", "d/second");
	symlink("file", "d/link");
	mkfifo("d/fifo", 0600);
	mkdir("d/sub", 0700);
	show("link, symlink, fifo, directory");
	fd = open("d/sub/deep", O_CREAT | O_WRONLY, 0600);
	close(fd);
	rename("d/sub/deep", "d/sub/deeper");
	show("below what is watched");
	fd = open("d/link", O_RDONLY);
	close(fd);
	show("through a link");
	rename("d/file", "d/renamed");
	show("rename");
	rename("d/renamed", "d/second");
	show("rename to another name of it");
	rename("d/renamed", "outside");
	rename("outside", "d/inside");
	show("out and in");
	rename("d/inside", "d/fifo");
	show("over another");
	rename("d/sub", "d/directory");
	show("a directory");
	unlink("d/link");
	unlink("d/fifo");
	unlink("d/directory/deeper");
	rmdir("d/directory");
	show("remove");
	DIR *dir = opendir("d");
	while (readdir(dir))
		;
	closedir(dir);
	show("list");
	unlink("d/second");
	rmdir("d");
	show("remove it all");
	say("watch is gone", inotify_rm_watch(watch, 1));
}

static void copies(void)
{
	int pair[2];
	loff_t at = 0;
	mkdir("d", 0755);
	int in = open("d/in", O_RDWR | O_CREAT, 0644);
	int out = open("d/out", O_RDWR | O_CREAT, 0644);
	write(in, "0123456789", 10);
	inotify_add_watch(watch, "d", IN_ALL_EVENTS);
	off_t from = 2;
	sendfile(out, in, &from, 3);
	show("sendfile");
	pipe(pair);
	splice(in, &at, pair[1], NULL, 4, 0);
	show("splice from a file");
	splice(pair[0], NULL, out, NULL, 4, 0);
	show("splice to a file");
	at = 0;
	copy_file_range(in, &at, out, NULL, 5, 0);
	show("copy_file_range");
	close(in);
	close(out);
	unlink("d/in");
	unlink("d/out");
	rmdir("d");
	show("closed");
}

static void itself(void)
{
	int fd = open("file", O_RDWR | O_CREAT, 0644);
	int wd = inotify_add_watch(watch, "file", IN_ALL_EVENTS);
	say("watch", wd);
	write(fd, "1", 1);
	link("file", "other");
	rename("file", "third");
	unlink("other");
	show("a file");
	unlink("third");
	show("unlinked, still open");
	fchmod(fd, 0600);
	close(fd);
	show("closed");
	fd = open("file", O_RDWR | O_CREAT, 0644);
	close(fd);
	fd = open("victim", O_RDWR | O_CREAT, 0644);
	close(fd);
	say("watch", inotify_add_watch(watch, "file", IN_ALL_EVENTS));
	say("watch", inotify_add_watch(watch, "victim", IN_ALL_EVENTS));
	rename("file", "victim");
	show("replaced");
	unlink("victim");
	show("unlinked");
	mkdir("d", 0755);
	mkdir("d/e", 0755);
	fd = open("d/e/f", O_RDWR | O_CREAT, 0644);
	close(fd);
	inotify_add_watch(watch, "d", IN_ALL_EVENTS);
	inotify_add_watch(watch, "d/e", IN_ALL_EVENTS);
	chmod("d/e", 0700);
	fd = open("d/e", O_RDONLY);
	close(fd);
	chmod("d/e/f", 0600);
	show("a directory in another");
	unlink("d/e/f");
	rmdir("d/e");
	rmdir("d");
	show("both gone");
}

static void masks(void)
{
	int fd;
	mkdir("d", 0755);
	close(open("d/a", O_CREAT | O_WRONLY, 0644));
	int wd = inotify_add_watch(watch, "d", IN_CREATE | IN_DELETE);
	close(open("d/b", O_CREAT | O_WRONLY, 0644));
	show("some only");
	say("the same", inotify_add_watch(watch, "d", IN_OPEN) == wd);
	close(open("d/c", O_CREAT | O_WRONLY, 0644));
	show("another mask");
	say("more", inotify_add_watch(watch, "d", IN_MASK_ADD | IN_CREATE) == wd);
	close(open("d/e", O_CREAT | O_WRONLY, 0644));
	show("both");
	say("create", inotify_add_watch(watch, "d", IN_MASK_CREATE | IN_CREATE));
	say("add and create", inotify_add_watch(watch, "d", IN_MASK_CREATE | IN_MASK_ADD | 1));
	say("once", inotify_add_watch(watch, "d", IN_ONESHOT | IN_OPEN) == wd);
	close(open("d/a", O_RDONLY));
	close(open("d/a", O_RDONLY));
	show("once");
	say("gone", inotify_rm_watch(watch, wd));
	wd = inotify_add_watch(watch, "d", IN_EXCL_UNLINK | IN_ALL_EVENTS);
	fd = open("d/a", O_RDWR);
	unlink("d/a");
	write(fd, "x", 1);
	close(fd);
	show("not after unlink");
	say("remove", inotify_rm_watch(watch, wd));
	show("removed");
	for (unsigned bit = 0; bit < 32; bit++) {
		long got = inotify_add_watch(watch, "d", 1u << bit);
		printf("%x: %s\n", 1u << bit, got < 0 ? strerror(errno) : "watched");
		if (got >= 0)
			inotify_rm_watch(watch, (int)got);
	}
	show("all ignored");
	say("no mask", inotify_add_watch(watch, "d", 0));
	say("no file", inotify_add_watch(watch, "none", 1));
	say("no mask, no file", inotify_add_watch(watch, "none", 0));
	say("no directory", inotify_add_watch(watch, "d/b", IN_ONLYDIR | 1));
	say("no instance", inotify_add_watch(0, "d", 1));
	say("no descriptor", inotify_add_watch(99, "d", 1));
	say("no descriptor, no mask", inotify_add_watch(99, "d", 0));
	say("no path", inotify_add_watch(watch, (char *)8, 1));
	say("no instance to remove from", inotify_rm_watch(0, 1));
	say("no descriptor to remove from", inotify_rm_watch(99, 1));
	say("no watch", inotify_rm_watch(watch, 12345));
	for (unsigned bit = 0; bit < 32; bit++) {
		fd = inotify_init1((int)(1u << bit));
		if (fd >= 0)
			printf("init %x: %x %x\n", 1u << bit, fcntl(fd, F_GETFL),
			       fcntl(fd, F_GETFD));
		else if (errno != EINVAL)
			printf("init %x: %s\n", 1u << bit, strerror(errno));
		close(fd);
	}
	symlink("b", "d/link");
	say("a link", inotify_add_watch(watch, "d/link", IN_DONT_FOLLOW | IN_ALL_EVENTS) > 0);
	unlink("d/link");
	show("a link");
	remove_all();
}

static void reading(void)
{
	char data[64], target[100] = { 0 }, path[64];
	int waiting = -1;
	mkdir("d", 0755);
	inotify_add_watch(watch, "d", IN_CREATE);
	struct pollfd p = { watch, POLLIN | POLLOUT, 0 };
	say("poll", poll(&p, 1, 0));
	say("nothing", read(watch, data, 64));
	close(open("d/0123456789abcde", O_CREAT | O_WRONLY, 0644));
	close(open("d/0123456789abcdef", O_CREAT | O_WRONLY, 0644));
	say("poll", poll(&p, 1, 0));
	printf("%x\n", p.revents);
	ioctl(watch, FIONREAD, &waiting);
	printf("waiting %d\n", waiting);
	say("no room", read(watch, data, 31));
	say("none at all", read(watch, data, 0));
	say("one", read(watch, data, 64));
	say("the second", read(watch, data, 64));
	say("write", write(watch, "x", 1));
	say("seek", lseek(watch, 10, SEEK_SET));
	say("pread", pread(watch, data, 64, 0));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", watch);
	readlink(path, target, sizeof(target) - 1);
	struct stat st;
	fstat(watch, &st);
	printf("%s %o\n", target, st.st_mode);
	fflush(stdout);
	if (!fork()) { /* an event ends a read that waits */
		until_state(getppid(), 'S');
		mkdir("d/new", 0755);
		_exit(0);
	}
	fcntl(watch, F_SETFL, 0);
	say("waited", read(watch, data, 64));
	fcntl(watch, F_SETFL, O_NONBLOCK);
	wait(NULL);
	for (int i = 0; i < 3; i++) {
		rename("d/new", "d/newer");
		rename("d/newer", "d/new");
	}
	inotify_add_watch(watch, "d", IN_ALL_EVENTS);
	close(open("d/new", O_RDONLY));
	close(open("d/new", O_RDONLY));
	show("twice is twice");
	int fd = open("d/0123456789abcde", O_WRONLY);
	for (int i = 0; i < 5; i++)
		write(fd, "y", 1);
	close(fd);
	show("five times is once");
	unlink("d/0123456789abcde");
	unlink("d/0123456789abcdef");
	rmdir("d/new");
	rmdir("d");
	show("all removed");
}

// A watch that ends with its first event, and a file that is opened and emptied: there are two.
static void once(void)
{
	int fd = open("once", O_CREAT | O_WRONLY, 0600);

	say("write", write(fd, "some", 4));
	close(fd);
	inotify_add_watch(watch, "once", IN_ALL_EVENTS | IN_ONESHOT);
	fd = open("once", O_WRONLY | O_TRUNC);
	say("opened", fd >= 0);
	close(fd);
	show("one event");
	unlink("once");
}

static void touch(const char *path) { close(open(path, O_CREAT | O_WRONLY, 0600)); }

static int watched(const char *path)
{
	return inotify_add_watch(watch, path, IN_ALL_EVENTS | IN_DONT_FOLLOW);
}

/* A file's own end and its name's, in whose order: by what holds it. */
static void ends(void)
{
	mkdir("d", 0755);
	touch("d/a");
	touch("d/b");
	watched("d");
	watched("d/a");
	watched("d/b");
	int fd = open("d/b", O_RDWR), path;
	unlink("d/a");
	unlink("d/b");
	show("unlinked, one is open");
	close(fd);
	show("closed");
	touch("d/a");
	watched("d/a");
	path = open("d/a", O_PATH);
	unlink("d/a");
	close(path);
	symlink("nowhere", "d/link");
	watched("d/link");
	unlink("d/link");
	show("of a path, and a link");
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(sock, (struct sockaddr *)&(struct sockaddr_un){ AF_UNIX, "d/sock" },
	     sizeof(struct sockaddr_un));
	watched("d/sock");
	unlink("d/sock");
	show("a socket");
	close(sock);
	show("closed");
	mkdir("d/e", 0755);
	mkdir("d/f", 0755);
	watched("d/e");
	watched("d/f");
	fd = open("d/e", O_RDONLY);
	rmdir("d/e");
	fchmod(fd, 0700);
	show("a directory that is open");
	rename("d/f", "d/e");
	close(fd);
	show("closed");
	mkdir("d/f", 0755);
	watched("d/f");
	fd = open("d/f", O_RDONLY);
	rename("d/e", "d/f");
	show("replaced while open");
	close(fd);
	fd = open(".", O_RDONLY);
	chdir("d/f");
	rmdir("../f");
	show("where a task stands");
	fchdir(fd);
	close(fd);
	rmdir("d");
	show("gone");
}

static void unnamed(void)
{
	char path[64];
	mkdir("d", 0755);
	int wd = watched("d");
	int fd = open("d", O_TMPFILE | O_RDWR, 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	inotify_add_watch(watch, path, IN_ALL_EVENTS);
	write(fd, "x", 1);
	ftruncate(fd, 0);
	close(open(path, O_RDONLY));
	show("no name");
	linkat(AT_FDCWD, path, AT_FDCWD, "d/named", AT_SYMLINK_FOLLOW);
	write(fd, "x", 1);
	fchmod(fd, 0644);
	show("a name of which it does not know");
	close(fd);
	unlink("d/named");
	show("and none");
	touch("d/a");
	link("d/a", "d/b");
	fd = open("d/a", O_RDWR);
	touch("d/b");
	show("two names");
	fchmod(fd, 0644);
	futimens(fd, NULL);
	ftruncate(fd, 1);
	fallocate(fd, 0, 0, 10);
	show("by the one that was opened");
	close(fd);
	mkfifo("d/fifo", 0600);
	watched("d/fifo");
	fd = open("d/fifo", O_RDWR | O_NONBLOCK);
	int pair[2];
	pipe(pair);
	write(fd, "abc", 3);
	read(fd, path, 1);
	show("a fifo");
	splice(fd, NULL, pair[1], NULL, 2, 0);
	show("splice from it");
	tee(pair[0], fd, 1, 0);
	splice(pair[0], NULL, fd, NULL, 1, 0);
	vmsplice(fd, &(struct iovec){ "x", 1 }, 1, 0);
	show("to it");
	read(fd, path, sizeof(path));
	int from = open("d/a", O_RDONLY);
	sendfile(fd, from, NULL, 5);
	show("sendfile");
	close(from);
	close(fd);
	unlink("d/fifo");
	inotify_rm_watch(watch, wd);
	show("removed");
	remove_all();
}

/* Three files; the first bits of how: those that are closed by execve. */
static void three(int how)
{
	for (int i = 0; i < 3; i++)
		open((const char *[]){ "d/a", "d/b", "d/c" }[i],
		     O_RDWR | (how >> i & 1 ? O_CLOEXEC : 0));
}

static void three_mapped(void)
{
	for (int i = 0; i < 3; i++) {
		int fd = open((const char *[]){ "d/a", "d/b", "d/c" }[i], O_RDWR);
		mmap((char *)0x10000000 + (i * 2 % 3) * 4096, 4096, PROT_READ,
		     MAP_PRIVATE | MAP_FIXED, fd, 0);
		close(fd);
	}
}

/* In which order files end whose last users go at once. */
static void closed_late(int way)
{
	pid_t pid = fork();
	if (!pid) {
		if (way == 3 || way == 4 || way == 6)
			three_mapped();
		else
			three(way == 5 ? 3 : 0);
		if (way == 2)
			syscall(SYS_close_range, 3, ~0u, 0);
		if (way == 4)
			munmap((char *)0x10000000, 3 * 4096);
		if (way == 5)
			execl("d/script", "script", NULL);
		if (way == 6)
			execl("d/copy", "copy", "ends", NULL);
		if (way == 7)
			execl("d/nowhere", "nowhere", NULL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	show((const char *[]){ "", "exit", "close_range", "exit, mapped", "munmap", "execve",
			       "execve, mapped", "execve fails" }[way]);
}

static void script(const char *path, const char *interpreter)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0700);
	dprintf(fd, "#!%s\n", interpreter);
	close(fd);
}

static void late(void)
{
	mkdir("d", 0755);
	touch("d/a");
	touch("d/b");
	touch("d/c");
	int own = open("/proc/self/exe", O_RDONLY);
	int copy = open("d/copy", O_WRONLY | O_CREAT, 0700);
	while (sendfile(copy, own, NULL, 1 << 20) > 0)
		;
	close(own);
	close(copy);
	script("d/inner", "d/copy");
	script("d/script", "d/inner");
	script("d/bad", "d/none");
	script("d/nowhere", "d/bad");
	int wd = watched("d");
	for (int way = 1; way < 8; way++)
		closed_late(way);
	inotify_rm_watch(watch, wd);
	show("removed");
	remove_all();
}

static void overflow(void)
{
	char most[32] = { 0 };
	int fd = open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY);
	read(fd, most, sizeof(most) - 1);
	close(fd);
	mkdir("d", 0755);
	close(open("d/a", O_CREAT, 0644));
	inotify_add_watch(watch, "d", IN_OPEN | IN_CLOSE);
	for (int i = 0; i < atoi(most); i++)
		close(open("d/a", O_RDONLY));
	static char data[1 << 20];
	long nr, events = 0, last = 0, overflows = 0;
	while ((nr = read(watch, data, sizeof(data))) > 0)
		for (char *at = data; at < data + nr; events++) {
			struct inotify_event *e = (struct inotify_event *)at;
			last = e->wd;
			overflows += e->mask == IN_Q_OVERFLOW;
			at += sizeof(*e) + e->len;
		}
	printf("events %ld beyond the most, last wd %ld, overflows %ld\n", events - atoi(most),
	       last, overflows);
	remove_all();
	show("after it");
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return 0; /* was executed: execve_reads(), late() */
	char place[] = "/tmp/watchXXXXXX";
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(place) || chdir(place))
		return 1;
	watch = inotify_init1(IN_NONBLOCK);
	files();
	execve_reads();
	copies();
	itself();
	masks();
	reading();
	once();
	ends();
	unnamed();
	late();
	overflow();
	chdir("/");
	rmdir(place);
	return 0;
}
