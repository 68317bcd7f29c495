// F_NOTIFY: signals about what happens in a directory. Argument: a folder.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int seen;
static siginfo_t last;

static void on_signal(int signo, siginfo_t *info, void *context)
{
	seen++;
	last = *info;
}

static int dir;

static void told(const char *what)
{
	printf(" %s %d", what, seen);
	seen = 0;
}

static void touch(const char *name) { close(open(name, O_RDWR | O_CREAT, 0600)); }

static void everything(void)
{
	char byte = 'x';
	touch("file"), told("create");
	int fd = open("file", O_RDWR);
	told("open");
	write(fd, &byte, 1), told("write");
	pread(fd, &byte, 1, 0), told("read");
	ftruncate(fd, 0), told("truncate");
	fchmod(fd, 0644), told("chmod");
	close(fd), told("close");
	rename("file", "other"), told("rename");
	rename("other", "below/other"), told("away");
	rename("below/other", "file"), told("here");
	link("file", "second"), told("link");
	unlink("second"), told("unlink");
	touch("third"), seen = 0;
	rename("file", "third"), told("replace");
	unlink("third"), told("unlink");
	mkdir("new", 0700), told("mkdir");
	rmdir("new"), told("rmdir");
	symlink("nowhere", "link"), told("symlink");
	unlink("link"), told("unlink");
	mkfifo("fifo", 0600), told("mkfifo");
	unlink("fifo"), told("unlink");
	touch("below/deep"), unlink("below/deep"), told("below");
	chmod(".", 0701), told("own mode");
	DIR *all = opendir(".");
	while (readdir(all))
		;
	closedir(all), told("list");
	printf("\n");
}

static long ask(unsigned long what) { return fcntl(dir, F_NOTIFY, what) < 0 ? -errno : 0; }

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		unsigned long bits;
	} kinds[] = {
		{ "access", DN_ACCESS }, { "modify", DN_MODIFY }, { "create", DN_CREATE },
		{ "delete", DN_DELETE }, { "rename", DN_RENAME }, { "attrib", DN_ATTRIB },
	};
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_RESTART };
	sigaction(SIGIO, &action, 0);
	sigaction(SIGRTMIN, &action, 0);
	chdir(argv[1]);
	mkdir("watched", 0700);
	chdir("watched");
	mkdir("below", 0700);
	touch("plain");
	dir = open(".", O_RDONLY);

	int plain = open("plain", O_RDONLY);
	printf("a file %d", fcntl(plain, F_NOTIFY, DN_ACCESS) ? errno : 0);
	printf(", nothing of it %d", fcntl(plain, F_NOTIFY, 0) ? errno : 0);
	printf(", a path %d", fcntl(open(".", O_PATH), F_NOTIFY, DN_ACCESS) ? errno : 0);
	printf(", no such bits %ld", ask(0x40000000));
	printf(", more %ld\n", ask(DN_MULTISHOT | 0x40));
	ask(0);
	for (unsigned i = 0; i < 6; i++) {
		ask(kinds[i].bits | DN_MULTISHOT);
		printf("%s:", kinds[i].name);
		everything();
		ask(0);
	}
	printf("owner %d\n", fcntl(dir, F_GETOWN) == getpid());
	ask(DN_CREATE);
	printf("once:");
	touch("a"), touch("b"), told("two");
	ask(DN_CREATE), ask(DN_DELETE);
	unlink("a"), unlink("b"), touch("a"), told("both, once");
	ask(DN_CREATE), ask(DN_DELETE | DN_MULTISHOT);
	unlink("a"), touch("a"), touch("b"), told("made many");
	ask(0);
	touch("c"), told("ended");
	printf("\n");

	fcntl(dir, F_SETSIG, SIGRTMIN);
	ask(DN_CREATE | DN_MULTISHOT);
	touch("d");
	told("with a signal");
	printf(": fd %d code %d band %lx signo %d\n", last.si_fd == dir, last.si_code, last.si_band,
	       last.si_signo == SIGRTMIN);
	int second = dup(dir);
	fcntl(second, F_NOTIFY, DN_CREATE | DN_MULTISHOT);
	touch("e"), told("twice asked");
	printf(": fd %d\n", last.si_fd == second);
	pid_t pid = fork();
	if (!pid) {
		close(dir), close(second);
		touch("f");
		_exit(seen);
	}
	int status;
	waitpid(pid, &status, 0);
	told("a child's");
	printf(" (its own %d)", WEXITSTATUS(status));
	close(second);
	touch("g"), told("after a close");
	ask(DN_CREATE | DN_MULTISHOT);
	int other = open(".", O_RDONLY);
	fcntl(other, F_SETSIG, SIGRTMIN);
	fcntl(other, F_NOTIFY, DN_CREATE | DN_MULTISHOT);
	touch("h"), told("two files");
	close(dir);
	touch("i"), told("one");
	fcntl(other, F_SETOWN, 0);
	touch("k"), told("of none");
	printf("\n");
	chdir("..");
	return argc != 2;
}
