/*
 * coredump [DIRECTORY]
 * Core files: what goes in, by kind of mapping and by coredump_filter, the notes, and what keeps
 * one from being made.  The current directory must be writable; kernel.core_pattern is "core".
 */
#define _GNU_SOURCE
#include "asleep.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul
#define RW (PROT_READ | PROT_WRITE)
#define BASE ((char *)0x50000000)

struct range {
	const char *name;
	char *at;
	long pages;
};
static struct range ranges[40];
static int nr_ranges;

static char *add(const char *name, long pages, int prot, int flags, int fd)
{
	char *last = nr_ranges ? ranges[nr_ranges - 1].at + ranges[nr_ranges - 1].pages * P : BASE;
	char *at = mmap(last + P, pages * P, prot, flags | MAP_FIXED, fd, 0);
	if (at == MAP_FAILED) {
		printf("%s: errno %d\n", name, errno);
		return NULL;
	}
	ranges[nr_ranges++] = (struct range){ name, at, pages };
	return at;
}

static int file_of(const char *name, int mode, const char *head)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, mode);
	char page[P];
	memset(page, 'f', P);
	memcpy(page, head, strlen(head));
	for (int i = 0; i < 4; i++)
		if (write(fd, page, P) != P)
			perror("write");
	fchmod(fd, mode);
	return fd;
}

static void map_all(void)
{
	char *a;
	int anon = MAP_PRIVATE | MAP_ANONYMOUS;
	nr_ranges = 0;
	add("untouched", 4, RW, anon, -1);
	a = add("loaded", 4, RW, anon, -1);
	(void)*(volatile char *)a;
	a = add("stored", 4, RW, anon, -1);
	a[2 * P] = 1;
	a = add("dontdump", 4, RW, anon, -1);
	memset(a, 1, 4 * P);
	madvise(a, 4 * P, MADV_DONTDUMP);
	a = add("dodump", 4, RW, anon, -1);
	a[0] = 1;
	madvise(a, 4 * P, MADV_DONTDUMP);
	madvise(a, 4 * P, MADV_DODUMP);
	a = add("half dontdump", 4, RW, anon, -1);
	memset(a, 1, 4 * P);
	madvise(a, 2 * P, MADV_DONTDUMP);
	a = add("stored, then none", 4, RW, anon, -1);
	memset(a, 1, 4 * P);
	mprotect(a, 4 * P, PROT_NONE);
	add("none", 4, PROT_NONE, anon, -1);
	a = add("discarded", 4, RW, anon, -1);
	memset(a, 1, 4 * P);
	madvise(a, 4 * P, MADV_DONTNEED);
	a = add("guarded", 4, RW, anon, -1);
	a[3 * P] = 2;
	madvise(a, P, 102);
	a = add("shared anonymous", 4, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
	a[P] = 3;
	int memfd = syscall(SYS_memfd_create, "m", 0);
	if (ftruncate(memfd, 4 * P))
		perror("ftruncate");
	add("shared memfd", 4, RW, MAP_SHARED, memfd);
	int plain = file_of("plain", 0600, "text"), magic = file_of("magic", 0600, "\177ELF"),
	    program = file_of("program", 0700, "text"), gone = file_of("gone", 0600, "text");
	unlink("gone");
	add("shared file", 4, RW, MAP_SHARED, plain);
	add("shared file without a name", 4, RW, MAP_SHARED, gone);
	add("private file", 4, RW, MAP_PRIVATE, plain);
	a = add("private file, stored", 4, RW, MAP_PRIVATE, plain);
	a[P] = 1;
	add("private file with ELF's head", 4, PROT_READ, MAP_PRIVATE, magic);
	add("the same, not readable", 4, PROT_NONE, MAP_PRIVATE, magic);
	add("private executable file", 4, PROT_READ, MAP_PRIVATE, program);
	int ro = open("magic", O_RDONLY);
	add("shared, of a file only to be read", 4, PROT_READ, MAP_SHARED, ro);
	a = add("beyond the end of a file", 8, RW, MAP_PRIVATE, plain);
	a[0] = 1;
	int zero = open("/dev/zero", O_RDWR);
	a = add("private /dev/zero", 2, RW, MAP_PRIVATE, zero);
	a[0] = 1;
	a = add("shared /dev/zero", 2, RW, MAP_SHARED, zero);
	a[0] = 1;
}

/* ---- a child that ends with a core ---- */

static void limit(int which, unsigned long soft)
{
	struct rlimit now;
	getrlimit(which, &now);
	now.rlim_cur = soft;
	if (setrlimit(which, &now))
		printf("setrlimit: errno %d\n", errno);
}

static int ends(void (*child)(long), long arg)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		limit(RLIMIT_CORE, RLIM_INFINITY);
		child(arg);
		abort();
	}
	waitpid(pid, &status, 0);
	return status;
}

static void tell_end(const char *what, int status)
{
	struct stat st;
	int has = !lstat("core", &st);
	printf("%s: signal %d, dumped %d, ", what, WTERMSIG(status), !!WCOREDUMP(status));
	if (has)
		printf("mode %o, %s\n", st.st_mode, st.st_size ? "not empty" : "empty");
	else
		printf("no file\n");
}

/* ---- looking into one ---- */

static char *core;
static long core_bytes;

static int load(void)
{
	int fd = open("core", O_RDONLY);
	if (fd < 0)
		return 0;
	core_bytes = lseek(fd, 0, SEEK_END);
	core = mmap(NULL, core_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	unlink("core");
	return core_bytes > 0;
}

static Elf64_Phdr *headers(void) { return (void *)(core + ((Elf64_Ehdr *)core)->e_phoff); }

static void tell_segment(const struct range *r)
{
	Elf64_Ehdr *e = (void *)core;
	for (int i = 0; i < e->e_phnum; i++) {
		Elf64_Phdr *p = headers() + i;
		char *at = (char *)p->p_vaddr;
		if (p->p_type != PT_LOAD || at < r->at || at >= r->at + r->pages * P)
			continue;
		printf(" %ld/%ld%s%s%s", p->p_filesz / P, p->p_memsz / P,
		       p->p_flags & PF_R ? "r" : "-", p->p_flags & PF_W ? "w" : "-",
		       p->p_flags & PF_X ? "x" : "-");
		for (unsigned long at = 0; at < p->p_filesz && p->p_offset + at < core_bytes;
		     at += P)
			printf(",%x", core[p->p_offset + at] & 255);
	}
}

static void mapped(long filter)
{
	char text[32];
	int fd = open("/proc/self/coredump_filter", O_WRONLY);
	sprintf(text, "%#lx", filter);
	if (write(fd, text, strlen(text)) < 0)
		printf("filter: errno %d\n", errno);
}

static void tell_filter(long filter)
{
	printf("filter %#lx: dumped %d\n", filter, !!WCOREDUMP(ends(mapped, filter)));
	if (!load())
		return;
	for (int i = 0; i < nr_ranges; i++) {
		printf("  %s:", ranges[i].name);
		tell_segment(ranges + i);
		printf("\n");
	}
	printf("  the last segment: %#lx\n", headers()[((Elf64_Ehdr *)core)->e_phnum - 1].p_vaddr);
}

static void tell_own_segments(void)
{
	Elf64_Ehdr *e = (void *)core;
	printf("type %d machine %d version %d flags %d ehsize %d phentsize %d shnum %d\n",
	       e->e_type, e->e_machine, e->e_version, e->e_flags, e->e_ehsize, e->e_phentsize,
	       e->e_shnum);
	printf("class %d data %d osabi %d\n", e->e_ident[4], e->e_ident[5], e->e_ident[7]);
	for (int i = 0; i < e->e_phnum; i++) {
		Elf64_Phdr *p = headers() + i;
		if (p->p_type == PT_LOAD && p->p_vaddr < (unsigned long)BASE &&
		    !(p->p_flags & PF_W))
			printf("load %#lx %ld/%ld flags %d align %ld%s\n", p->p_vaddr, p->p_filesz,
			       p->p_memsz, p->p_flags, p->p_align, p->p_offset % P ? " askew" : "");
	}
}

static void tell_status(const prstatus_t *s, long pid)
{
	printf("  signo %d code %d errno %d cursig %d pending %lx held %lx fpvalid %d\n",
	       s->pr_info.si_signo, s->pr_info.si_code, s->pr_info.si_errno, s->pr_cursig,
	       s->pr_sigpend, s->pr_sighold, s->pr_fpvalid);
	printf("  pid %d ppid %d pgrp %d\n", s->pr_pid == pid, s->pr_ppid == getpid(),
	       s->pr_pgrp == getpgrp());
	printf("  orig_rax %ld rax %ld cs %lx ss %lx\n", (long)s->pr_reg[15], (long)s->pr_reg[10],
	       (long)s->pr_reg[17], (long)s->pr_reg[20]);
}

static const char *program;

static void tell_info(const prpsinfo_t *p)
{
	printf("  state %d %c zombie %d nice %d uid %d name %d args %d\n", p->pr_state, p->pr_sname,
	       p->pr_zomb, p->pr_nice, p->pr_uid == getuid(),
	       !strncmp(p->pr_fname, basename(program), 15),
	       !strncmp(p->pr_psargs, program, strnlen(program, 79)));
}

static void tell_files(const unsigned long *words)
{
	const char *name = (const char *)(words + 2 + 3 * words[0]);
	printf("  page size %ld\n", words[1]);
	for (unsigned long i = 0; i < words[0]; i++, name += strlen(name) + 1) {
		const unsigned long *range = words + 2 + 3 * i;
		if (range[0] >= (unsigned long)BASE && range[0] < 0x60000000)
			printf("  %lx-%lx +%lx %s\n", range[0], range[1], range[2],
			       strrchr(name, '/') ? strrchr(name, '/') : name);
	}
}

static void tell_notes(long pid)
{
	Elf64_Phdr *p = headers();
	printf("notes: vaddr %lx memsz %ld align %ld\n", p->p_vaddr, p->p_memsz, p->p_align);
	for (unsigned long at = 0; at < p->p_filesz;) {
		Elf64_Nhdr *n = (void *)(core + p->p_offset + at);
		const char *name = (const char *)(n + 1);
		const void *data = name + (n->n_namesz + 3 & -4);
		at += sizeof(*n) + (n->n_namesz + 3 & -4) + (n->n_descsz + 3 & -4);
		if (strcmp(name, "CORE"))
			continue; /* the processor's extended state */
		printf(" %s %#x %d\n", name, n->n_type,
		       n->n_type == NT_AUXV || n->n_type == 0x46494c45 ? 0 : n->n_descsz);
		if (n->n_type == NT_PRSTATUS)
			tell_status(data, pid);
		if (n->n_type == NT_PRPSINFO)
			tell_info(data);
		if (n->n_type == 0x46494c45)
			tell_files(data);
		if (n->n_type == 0x53494749)
			printf("  signo %d code %d\n", ((siginfo_t *)data)->si_signo,
			       ((siginfo_t *)data)->si_code);
	}
}

static void look(const char *what, void (*child)(long), long arg)
{
	int status = ends(child, arg);
	printf("== %s: signal %d, dumped %d\n", what, WTERMSIG(status), !!WCOREDUMP(status));
	if (load())
		tell_notes(((prstatus_t *)(core + headers()->p_offset + 20))->pr_pid);
}

static void fault(long at) { *(volatile int *)at = 1; }
static void divide(long zero) { asm volatile("idivl %0" : : "r"((int)zero) : "rax", "rdx"); }
static void killed(long signo) { syscall(SYS_kill, getpid(), signo); }
static void cpu_time(long seconds)
{
	limit(RLIMIT_CPU, seconds), syscall(SYS_kill, getpid(), SIGXCPU);
}

static void blocked(long signo)
{
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGABRT);
	sigprocmask(SIG_SETMASK, &all, NULL);
	syscall(SYS_tkill, getpid(), SIGUSR1);
	syscall(SYS_tkill, getpid(), SIGABRT);
}

/* Interrupted while it sleeps: the registers show what Linux would return to be called again. */
static void asleep(long which)
{
	pid_t self = getpid();
	int ends[2];
	char byte;
	if (pipe(ends))
		perror("pipe");
	if (!fork()) {
		until_in(self, which);
		kill(self, SIGQUIT);
		_exit(0);
	}
	struct timespec ts = { 10, 0 };
	if (which == SYS_pause)
		syscall(SYS_pause);
	else if (which == SYS_nanosleep)
		syscall(SYS_nanosleep, &ts, NULL);
	else
		syscall(SYS_read, ends[0], &byte, 1);
}

/* ---- what keeps a core from being made ---- */

static void nothing(long unused) {}
static void with_limit(long soft) { limit(RLIMIT_CORE, soft); }
static void with_size(long soft) { limit(RLIMIT_FSIZE, soft), signal(SIGXFSZ, SIG_IGN); }
static void with_umask(long mask) { umask(mask); }
static void with_dumpable(long value) { prctl(PR_SET_DUMPABLE, value); }

static void in_directory(long unused)
{
	if (chdir("locked"))
		perror("chdir");
	if (getuid() == 0)
		prctl(PR_SET_DUMPABLE, 0);
}

static long size_of_core(void)
{
	struct stat st;
	return stat("core", &st) ? -1 : st.st_size;
}

static void tell_limits(void)
{
	static const long limits[] = { 0, 1, 63, 4095, 4096, 5000, 8192, 12345, 40960 };
	for (unsigned long i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		int status = ends(with_limit, limits[i]);
		long size = size_of_core();
		printf("RLIMIT_CORE %ld: dumped %d, %s\n", limits[i], !!WCOREDUMP(status),
		       size < 0   ? "no file"
		       : size > 0 ? "some"
				  : "empty");
		unlink("core");
	}
	for (long size = 0; size <= 8192; size += 4096) {
		int status = ends(with_size, size);
		printf("RLIMIT_FSIZE %ld: dumped %d, %s\n", size, !!WCOREDUMP(status),
		       size_of_core() > 0 ? "some" : "nothing");
		unlink("core");
	}
}

static void tell_places(void)
{
	int fd = open("core", O_CREAT | O_WRONLY, 0644);
	link("core", "other");
	tell_end("a file with another name", ends(nothing, 0));
	struct stat st;
	printf("the other name: %s\n", stat("other", &st) || st.st_size ? "changed" : "as it was");
	close(fd);
	unlink("core");
	unlink("other");
	symlink("target", "core");
	tell_end("a link", ends(nothing, 0));
	printf("its target: %s\n", access("target", F_OK) ? "not made" : "made");
	unlink("core");
	mkdir("core", 0755);
	printf("a directory: dumped %d\n", !!WCOREDUMP(ends(nothing, 0)));
	rmdir("core");
	mkfifo("core", 0600);
	tell_end("a fifo", ends(nothing, 0));
	unlink("core");
	tell_end("umask 077", ends(with_umask, 077));
	unlink("core");
	tell_end("umask 0777", ends(with_umask, 0777));
	unlink("core");
	tell_end("not dumpable", ends(with_dumpable, 0));
	mkdir("locked", 0500);
	tell_end("a directory that may not be changed", ends(in_directory, 0));
	rmdir("locked");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	program = argv[0];
	if (argc > 1 && chdir(argv[1]))
		perror(argv[1]);
	struct rlimit all = { 0, RLIM_INFINITY };
	setrlimit(RLIMIT_CORE, &all);
	map_all();
	static const long filters[] = { 0x33, 0, 1, 2, 4, 8, 16, 0x7f, 0x1ff };
	for (unsigned long i = 0; i < sizeof(filters) / sizeof(*filters); i++)
		tell_filter(filters[i]);
	ends(nothing, 0);
	if (load())
		tell_own_segments();
	look("a fault", fault, 0x1234);
	look("a division", divide, 0);
	look("killed", killed, SIGQUIT);
	look("killed by what makes no core", killed, SIGTERM);
	look("over its time", cpu_time, 1000);
	look("with signals that wait", blocked, 0);
	look("asleep in read", asleep, SYS_read);
	look("asleep in pause", asleep, SYS_pause);
	look("asleep in nanosleep", asleep, SYS_nanosleep);
	tell_limits();
	tell_places();
	unlink("plain"), unlink("magic"), unlink("program");
	return 0;
}
