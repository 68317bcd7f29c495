/* Where memory ends: what is gone though it could not be stored, and what is read no further. */
#define _GNU_SOURCE
#include "../results.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE 4096

static char *page, *end; /* behind the end is nothing */

static void ended(void)
{
	if (!fork())
		_exit(3);
}

/* A child is forgotten though its news find no place. */
static void news(void)
{
	siginfo_t info = { 0 };
	struct rusage used;
	int status = 0;
	ended();
	P("waitid", result(syscall(SYS_waitid, P_ALL, 0, end - 20, WEXITED, NULL)),
	  result(wait(NULL)));
	ended();
	P("with its use", result(syscall(SYS_waitid, P_ALL, 0, end, WEXITED, &used)),
	  result(wait(NULL)));
	ended();
	P("its use", result(syscall(SYS_waitid, P_ALL, 0, &info, WEXITED, end)), info.si_signo,
	  result(wait(NULL)));
	ended();
	P("wait4", result(syscall(SYS_wait4, -1, end, 0, NULL)), result(wait(NULL)));
	ended();
	P("its use", result(syscall(SYS_wait4, -1, &status, 0, end)), status, result(wait(NULL)));
	P("nobody", result(syscall(SYS_waitid, P_ALL, 0, end, WEXITED, NULL)));
}

static void named(const char *name)
{
	char found[40];
	long err = result(prctl(PR_SET_NAME, name));
	memset(found, '#', sizeof(found) - 1);
	found[39] = 0;
	prctl(PR_GET_NAME, found);
	P("name", err);
	for (int i = 0; i < 20; i++)
		printf("%02x ", found[i] & 255);
	puts("");
}

/* Fifteen bytes are looked at, whatever they are part of, and sixteen stored. */
static void names(void)
{
	memset(page, 'a', PAGE);
	named(page);
	named(end - 16);
	named(end - 15);
	named(end - 14);
	named(end);
	strcpy(page, "na\xc3\xafve \xc3\xb6\xc3\xa4\xc3\xbc\xc3\x9f\xc3\xa9\xc3\xa0\xc3\xa7");
	named(page);
	int comm = open("/proc/self/comm", O_WRONLY);
	P("comm", result(write(comm, page, 20)));
	named("");
}

/* Nothing is copied, so no offset is stored. */
static void offsets(void)
{
	int fd = memfd_create("f", 0);
	long *offset = (long *)page;
	ftruncate(fd, 100);
	*offset = 100;
	mprotect(page, PAGE, PROT_READ);
	P("at the end", result(copy_file_range(fd, offset, fd, NULL, 10, 0)));
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	*offset = 50;
	mprotect(page, PAGE, PROT_READ);
	P("before it", result(copy_file_range(fd, offset, fd, NULL, 10, 0)), *offset,
	  lseek(fd, 0, SEEK_CUR));
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
}

int main(void)
{
	page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	end = page + PAGE;
	munmap(end, PAGE);
	setvbuf(stdout, NULL, _IONBF, 0);
	news();
	offsets();
	names();
	return 0;
}
