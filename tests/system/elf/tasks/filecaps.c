/* Capabilities of files: who may give them, what a program has by them, what takes them away. */
#define _GNU_SOURCE
#include "parts.h"
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define NAME "security.capability"
#define USER 4242
#define BIND_SERVICE 0x400
#define RAW 0x2000
#define CHOWN 1
#define SHOWN 0xffffff /* others the host may have given up */
#define EFFECTIVE 1
#define V2 0x02000000
#define V3 0x03000000

static char place[] = "/tmp/filecapsXXXXXX";

static void copy_self(const char *to)
{
	static char bytes[1 << 16];
	int from = open("/proc/self/exe", O_RDONLY),
	    fd = open(to, O_CREAT | O_WRONLY | O_TRUNC, 0755);
	long count;
	while ((count = read(from, bytes, sizeof bytes)) > 0)
		if (write(fd, bytes, count) != count)
			printf("short\n");
	close(from);
	close(fd);
}

static long give(const char *path, uint32_t magic, uint64_t permitted, uint64_t inheritable,
		 int size)
{
	uint32_t data[7] = {
		magic, permitted, inheritable, permitted >> 32, inheritable >> 32, 0, 0
	};
	return result(setxattr(path, NAME, data, size, 0));
}

static void show(const char *path)
{
	uint32_t data[10] = { 0 };
	long size = result(getxattr(path, NAME, data, sizeof data));
	P("has", size, data[0], data[1], data[2], size == 24 ? data[5] : 0);
}

static void report(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct sets[2];
	syscall(SYS_capget, &head, sets);
	int ambient = 0;
	for (int i = 0; i < 40; i++)
		ambient += prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) > 0;
	P("runs with", sets[0].effective & SHOWN, sets[0].permitted & SHOWN, sets[0].inheritable,
	  ambient, (long)getauxval(AT_SECURE), geteuid(), prctl(PR_GET_DUMPABLE));
}

enum { PLAIN, INHERIT, AMBIENT, NO_NEW, BOUNDED, STAYS_ROOT, KEEPS_REAL };

static void limit(uint64_t inheritable, uint64_t permitted)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct sets[2] = { { permitted, permitted, inheritable },
						  { 0, 0, 0 } };
	if (syscall(SYS_capset, &head, sets))
		printf("capset: %s\n", strerror(errno));
}

static void run(const char *path, int how)
{
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		if (how == BOUNDED)
			prctl(PR_CAPBSET_DROP, 10);
		prctl(PR_SET_KEEPCAPS, 1);
		setgroups(0, 0);
		if (how != STAYS_ROOT && (setresgid(USER, USER, USER) ||
					  setresuid(how == KEEPS_REAL ? 0 : USER, USER, USER)))
			printf("no user\n");
		if (how != STAYS_ROOT)
			limit(how == INHERIT || how == AMBIENT ? RAW : 0, how == AMBIENT ? RAW : 0);
		if (how == AMBIENT)
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 13, 0, 0);
		if (how == NO_NEW)
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		execl(path, path, "report", (char *)0);
		P("refused", -errno);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, 0, 0);
}

static void begin(void)
{
	P("begin", result(unshare(CLONE_NEWNS)),
	  result(mount("none", "/", 0, MS_REC | MS_PRIVATE, 0)),
	  result(mount("t", place, "tmpfs", 0, "")), result(chdir(place)),
	  result(chmod(place, 0755)));
	copy_self("tool");
}

static void values(void)
{
	begin();
	show("tool");
	P("sizes", give("tool", V2, RAW, 0, 19), give("tool", V2, RAW, 0, 24),
	  give("tool", V3, RAW, 0, 20), give("tool", 0x01000000, RAW, 0, 12),
	  give("tool", 0x04000000, RAW, 0, 24), give("tool", V2, RAW, 0, 0));
	P("flags", give("tool", V2 | 2, RAW, 0, 20), give("tool", V3 | 0xfe, RAW, 0, 24));
	P("given", give("tool", V2 | EFFECTIVE, RAW, CHOWN, 20));
	show("tool");
	P("third", give("tool", V3, RAW, 0, 24));
	show("tool");
	P("away", result(removexattr("tool", NAME)), result(removexattr("tool", NAME)));
	mkdir("d", 0755);
	P("others", give("d", V2, RAW, 0, 20));
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		setresuid(USER, USER, USER);
		P("user", give("tool", V2, RAW, 0, 20), give("tool", V2, RAW, 0, 19),
		  give("none", V2, RAW, 0, 20));
		show("tool");
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, 0, 0);
}

static void programs(void)
{
	begin();
	P("permitted", give("tool", V2, RAW, 0, 20));
	for (int how = PLAIN; how <= KEEPS_REAL; how++)
		run("./tool", how);
	P("effective", give("tool", V2 | EFFECTIVE, RAW | BIND_SERVICE, 0, 20));
	for (int how = PLAIN; how <= KEEPS_REAL; how++)
		run("./tool", how);
	P("inheritable", give("tool", V2 | EFFECTIVE, 0, RAW | BIND_SERVICE, 20));
	for (int how = PLAIN; how <= KEEPS_REAL; how++)
		run("./tool", how);
	P("none", give("tool", V2, 0, 0, 20));
	run("./tool", AMBIENT);
	run("./tool", STAYS_ROOT);
	P("set-user-ID, too", chmod("tool", 04755), give("tool", V2 | EFFECTIVE, RAW, 0, 20));
	for (int how = PLAIN; how <= KEEPS_REAL; how++)
		run("./tool", how);
	P("nosuid", chmod("tool", 0755), result(mount("t", place, 0, MS_REMOUNT | MS_NOSUID, 0)));
	run("./tool", PLAIN);
	run("./tool", STAYS_ROOT);
}

static void taken(void)
{
	begin();
	give("tool", V2, RAW, 0, 20);
	P("chmod", chmod("tool", 0711));
	show("tool");
	P("chown", chown("tool", USER, USER));
	show("tool");
	give("tool", V2, RAW, 0, 20);
	int fd = open("tool", O_WRONLY | O_APPEND);
	P("write", result(write(fd, "", 0)));
	show("tool");
	P("write", result(write(fd, "x", 1)));
	show("tool");
	give("tool", V2, RAW, 0, 20);
	P("truncate", result(ftruncate(fd, 100000)));
	show("tool");
	give("tool", V2, RAW, 0, 20);
	P("link", result(link("tool", "other")), result(rename("other", "third")));
	show("third");
	close(fd);
	fd = open("tool", O_WRONLY | O_TRUNC);
	show("tool");
	close(fd);
}

static void spaces(void)
{
	begin();
	give("tool", V2 | EFFECTIVE, RAW, 0, 20);
	P("mine", result(unshare(CLONE_NEWUSER)), put("/proc/self/setgroups", "deny"),
	  put("/proc/self/uid_map", "0 0 1") > 0, put("/proc/self/gid_map", "0 0 1") > 0);
	show("tool");
	P("inside", give("tool", V2 | EFFECTIVE, CHOWN, 0, 20));
	show("tool");
	run("./tool", STAYS_ROOT);
	P("nested", result(unshare(CLONE_NEWUSER)));
	show("tool");
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		report();
		return 0;
	}
	mkdtemp(place);
	part("values", values);
	part("programs", programs);
	part("taken", taken);
	part("spaces", spaces);
	return rmdir(place);
}
