/* Programs with set-user-ID and set-group-ID bits, run by others: root runs it, or there is nothing to see. */
#define _GNU_SOURCE
#include "results.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { OWNER = 1234, USER = 4321 };
static char copy[] = "/tmp/setidXXXXXX", program[100];

static void tell(void)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;
	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	struct {
		unsigned version;
		int pid;
	} head = { 0x20080522, 0 };
	unsigned caps[6];
	syscall(SYS_capget, &head, caps);
	int death;
	prctl(PR_GET_PDEATHSIG, &death);
	P("ids", r, e, s, rg, eg, sg);
	P("aux", getauxval(AT_SECURE), getauxval(AT_UID), getauxval(AT_EUID), getauxval(AT_GID),
	  getauxval(AT_EGID));
	P("caps", caps[0] != 0, caps[1] != 0, prctl(PR_GET_DUMPABLE),
	  prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), death);
	P("files", result(open("/proc/self/maps", O_RDONLY)) > 0,
	  result(syscall(SYS_setfsuid, -1)));
	fflush(stdout);
	_exit(0);
}

static void as_root(void) {}
static void as_user(void)
{
	setgid(USER);
	setuid(USER);
}
static void with_group(void)
{
	gid_t groups[] = { OWNER };
	syscall(SYS_setgroups, 1, groups);
	as_user();
}
static void without_more(void)
{
	as_user();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
static void dying(void)
{
	as_user();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}
static void traced(void)
{
	as_user();
	ptrace(PTRACE_TRACEME, 0, 0, 0);
}
static void nosuid(void)
{
	unshare(CLONE_NEWNS);
	mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
	mount(copy, copy, 0, MS_BIND, 0);
	mount(0, copy, 0, MS_REMOUNT | MS_BIND | MS_NOSUID, 0);
	as_user();
}
static void bound(void)
{
	unshare(CLONE_NEWNS);
	mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
	mount(copy, copy, 0, MS_BIND, 0);
	as_user();
}
static void in_namespace(void)
{
	as_user();
	unshare(CLONE_NEWUSER);
}
static void sharing(void)
{
	as_user();
	static char stack[65536];
	(void)stack;
}
static void effective(void)
{
	setresgid(USER, USER, USER);
	setresuid(USER, OWNER, OWNER);
}

static void run(const char *what, mode_t mode, void (*prepare)(void))
{
	printf("== %s %o\n", what, mode);
	fflush(stdout);
	chmod(program, mode);
	pid_t child = fork();
	if (!child) {
		prepare();
		execl(program, program, "tell", (char *)0);
		printf("execve %d\n", errno);
		fflush(stdout);
		_exit(1);
	}
	int status;
	while (waitpid(child, &status, 0) == child && WIFSTOPPED(status))
		ptrace(PTRACE_CONT, child, 0, 0);
	printf("-- %x\n", status);
}

static void copy_program(uid_t uid)
{
	static char block[1 << 16];
	int from = open("/proc/self/exe", O_RDONLY),
	    to = open(program, O_CREAT | O_WRONLY | O_TRUNC, 0755);
	long count;
	while ((count = read(from, block, sizeof block)) > 0)
		write(to, block, count);
	fchown(to, uid, uid);
	close(to);
	close(from);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		tell();
	if (getuid())
		return 0;
	(void)argv;
	mkdtemp(copy);
	chmod(copy, 0755);
	snprintf(program, sizeof program, "%s/program", copy);
	copy_program(OWNER);
	static const mode_t modes[] = { 0755, 04755, 02755, 06755, 02745, 04711 };
	for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++)
		run("user", modes[i], as_user);
	run("root", 06755, as_root);
	run("group", 02755, with_group);
	run("no more", 06755, without_more);
	run("dying", 0755, dying);
	run("dying", 04755, dying);
	run("traced", 06755, traced);
	run("nosuid", 06755, nosuid);
	run("bound", 06755, bound);
	run("namespace", 06755, in_namespace);
	run("sharing", 06755, sharing);
	run("effective", 0755, effective);
	copy_program(0);
	run("to root", 04755, as_user);
	run("to root", 06755, without_more);
	run("to root", 04755, traced);
	run("to root", 04755, in_namespace);
	unlink(program);
	rmdir(copy);
	return 0;
}
