// Each file of /proc/PID: of a task that lives, of a zombie, and held open while its task goes.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *names[] = {
	"auxv",
	"cgroup",
	"clear_refs",
	"cmdline",
	"comm",
	"coredump_filter",
	"cpuset",
	"cwd",
	"environ",
	"exe",
	"fd",
	"fdinfo",
	"gid_map",
	"io",
	"limits",
	"map_files",
	"maps",
	"mem",
	"mountinfo",
	"mounts",
	"mountstats",
	"ns",
	"numa_maps",
	"oom_adj",
	"oom_score",
	"oom_score_adj",
	"pagemap",
	"personality",
	"projid_map",
	"root",
	"schedstat",
	"setgroups",
	"smaps",
	"smaps_rollup",
	"stat",
	"statm",
	"status",
	"syscall",
	"task",
	"timers",
	"timerslack_ns",
	"uid_map",
	"wchan",
};
static const char *unwritten[] = { "mem", "uid_map", "gid_map", "projid_map", "setgroups" };
static char buffer[1 << 17];

static const char *error(long result) { return result < 0 ? strerrorname_np(errno) : "ok"; }

static const char *how_much(long result)
{
	return result < 0 ? error(result) : result ? "some" : "nothing";
}

static void directory(const char *path)
{
	DIR *dir = opendir(path);
	int nr = 0;
	printf(" opendir %s", error(dir ? 0 : -1));
	for (errno = 0; dir && readdir(dir); nr++)
		;
	printf(" %s %d\n", nr > 2 ? "has names" : "is empty", errno);
	if (dir)
		closedir(dir);
}

static void seeks(int fd)
{
	for (int whence = 0; whence < 5; whence++) {
		lseek(fd, 0, SEEK_SET);
		long at = lseek(fd, whence == SEEK_CUR ? 5 : whence ? 0 : 10, whence);
		printf(" %s%ld", at < 0 ? error(at) : "at ", at);
	}
}

static void file(const char *name, const char *path)
{
	int fd = open(path, O_RDONLY), written = 1;
	printf(" read %s", error(fd));
	if (fd >= 0) {
		printf(" %s", how_much(read(fd, buffer, sizeof(buffer))));
		seeks(fd);
		close(fd);
	}
	fd = open(path, O_WRONLY);
	printf(" write %s", error(fd));
	for (unsigned i = 0; i < sizeof(unwritten) / sizeof(*unwritten); i++)
		written &= strcmp(name, unwritten[i]) != 0;
	if (fd >= 0 && written) {
		printf(" 1: %s", error(write(fd, "1", 1)));
		printf(" nothing: %s", error(write(fd, "", 0)));
	}
	close(fd);
	printf("\n");
}

static void look(const char *of, int pid, const char *name)
{
	char path[100];
	struct stat st;
	sprintf(path, "/proc/%d/%s", pid, name);
	if (lstat(path, &st)) {
		printf("%s %s: %s\n", of, name, error(-1));
		return;
	}
	printf("%s %s: %o", of, name, st.st_mode);
	if (S_ISLNK(st.st_mode)) {
		printf(" readlink %s", error(readlink(path, buffer, 999)));
		printf(" stat %s\n", error(stat(path, &st)));
	} else if (S_ISDIR(st.st_mode)) {
		directory(path);
	} else {
		file(name, path);
	}
}

static void held(const char *name)
{
	int gate[2], fd;
	char path[100];
	struct stat st;
	siginfo_t info;
	pipe(gate);
	int child = fork();
	if (!child) {
		read(gate[0], buffer, 1);
		_exit(0);
	}
	sprintf(path, "/proc/%d/%s", child, name);
	fd = lstat(path, &st) || !S_ISREG(st.st_mode) ? -1 : open(path, O_RDONLY);
	write(gate[1], "", 1);
	waitid(P_PID, child, &info, WEXITED | WNOWAIT);
	if (fd >= 0)
		printf("held %s: zombie %s", name, how_much(read(fd, buffer, 4096)));
	waitpid(child, 0, 0);
	if (fd >= 0) {
		lseek(fd, 0, SEEK_SET);
		printf(" gone %s\n", how_much(read(fd, buffer, 4096)));
	}
	close(fd);
	close(gate[0]);
	close(gate[1]);
}

int main(void)
{
	siginfo_t info;
	int child = fork();
	if (!child)
		_exit(0);
	waitid(P_PID, child, &info, WEXITED | WNOWAIT);
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		look("zombie", child, names[i]);
		look("live", getpid(), names[i]);
		held(names[i]);
	}
	return 0;
}
