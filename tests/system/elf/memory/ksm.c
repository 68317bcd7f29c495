/* KSM: what merges, the counters after each step, and what takes it back; as root, who sets /sys/kernel/mm/ksm. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "outcome.h"

#define PAGE 4096ul
#define MERGE 67
#define MERGING 68

static char *const place = (char *)0x200000000;

static long number(const char *name)
{
	char path[100], text[64] = { 0 };
	snprintf(path, sizeof(path), "/sys/kernel/mm/ksm/%s", name);
	int fd = open(path, O_RDONLY);
	read(fd, text, sizeof(text) - 1);
	close(fd);
	return strtol(text, NULL, 10);
}

static long set(const char *name, const char *text)
{
	char path[100];
	snprintf(path, sizeof(path), "/sys/kernel/mm/ksm/%s", name);
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	long result = write(fd, text, strlen(text));
	int error = errno;
	close(fd);
	errno = error;
	return result;
}

static void rounds(int nr)
{
	long until = number("full_scans") + nr;
	for (int i = 0; i < 50000 && number("full_scans") < until; i++)
		usleep(2000);
	if (number("full_scans") < until)
		printf("no scan\n");
}

static void show_smaps(void)
{
	char line[300];
	int inside = 0;
	FILE *f = fopen("/proc/self/smaps", "r");
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start >= (unsigned long)place &&
				 start < (unsigned long)place + 256 * PAGE;
		if (inside && (!strncmp(line, "KSM", 3) || !strncmp(line, "VmFlags", 7) ||
			       !strncmp(line, "Rss", 3) || !strncmp(line, "Pss:", 4) ||
			       !strncmp(line, "Anonymous", 9) || !strncmp(line, "Shared_D", 8) ||
			       !strncmp(line, "Shared_C", 8) || !strncmp(line, "Private_", 8)))
			printf("  %s", line);
	}
	fclose(f);
}

static void show(const char *what)
{
	static const char *const names[] = { "pages_shared",       "pages_sharing",
					     "pages_unshared",     "pages_volatile",
					     "ksm_zero_pages",     "pages_skipped",
					     "stable_node_chains", "stable_node_dups",
					     "general_profit" };
	printf("%s:", what);
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		printf(" %s %ld", names[i], number(names[i]));
	printf("\n");
	char text[512] = { 0 };
	int fd = open("/proc/self/ksm_stat", O_RDONLY);
	read(fd, text, sizeof(text) - 1);
	close(fd);
	for (char *at = text; *at; at++)
		putchar(*at == '\n' ? ' ' : *at);
	memset(text, 0, sizeof(text));
	fd = open("/proc/self/ksm_merging_pages", O_RDONLY);
	read(fd, text, sizeof(text) - 1);
	close(fd);
	printf("merging %s", text);
}

static char *fresh(unsigned long pages)
{
	munmap(place, 256 * PAGE);
	return mmap(place, pages * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void fill(char *at, const char *pattern)
{
	for (; *pattern; pattern++, at += PAGE)
		if (*pattern != '.')
			memset(at, *pattern == '0' ? 0 : *pattern, PAGE);
}

static int holds(const char *at, const char *pattern)
{
	for (; *pattern; pattern++, at += PAGE)
		for (unsigned long i = 0; i < PAGE; i++)
			if (at[i] != (*pattern == '0' || *pattern == '.' ? 0 : *pattern))
				return 0;
	return 1;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (set("run", "0") < 0) {
		printf("no right\n");
		return 0;
	}
	set("pages_to_scan", "1000");
	set("sleep_millisecs", "1");
	set("smart_scan", "0");
	char *at = fresh(20);
	const char *content = "AAAAAAAABBBBCDEF0000";
	fill(at, content);
	printf("advise %s\n", outcome(madvise(at, 20 * PAGE, MADV_MERGEABLE)));
	show_smaps();
	set("run", "1");
	rounds(4);
	show("merged");
	show_smaps();
	printf("as it was: %d\n", holds(at, content));
	at[3 * PAGE] = 'A';
	rounds(3);
	show("stored the same");
	at[3 * PAGE] = 'x';
	rounds(3);
	show("stored another");
	printf("others: %d %d\n", holds(at, "AAA"), holds(at + 4 * PAGE, content + 4));
	fill(at + 3 * PAGE, "A");
	rounds(3);
	show("equal again");
	int child = fork();
	if (!child) {
		rounds(3);
		show("child");
		at[0] = 'c';
		rounds(3);
		show("child stored");
		_exit(holds(at + PAGE, content + 1) ? 0 : 1);
	}
	int status;
	waitpid(child, &status, 0);
	printf("child ended %d\n", status);
	rounds(2);
	show("without the child");
	printf("unmap %s\n", outcome(munmap(at + 8 * PAGE, 2 * PAGE)));
	rounds(2);
	show("unmapped");
	printf("unmerge %s\n", outcome(madvise(at, 4 * PAGE, MADV_UNMERGEABLE)));
	show_smaps();
	rounds(2);
	show("unmerged a part");
	char *moved = mremap(at + 4 * PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     place + 64 * PAGE);
	printf("moved %d %d\n", moved == place + 64 * PAGE, holds(moved, "AAAA"));
	rounds(3);
	show("moved");
	printf("protect %s\n", outcome(mprotect(moved, 4 * PAGE, PROT_READ)));
	printf("protect %s\n", outcome(mprotect(moved, 4 * PAGE, PROT_READ | PROT_WRITE)));
	moved[0] = 'z';
	printf("others: %d\n", holds(moved + PAGE, "AAA"));
	printf("max_page_sharing while shared: %s\n", outcome(set("max_page_sharing", "3")));
	printf("merge_across_nodes while shared: %s\n", outcome(set("merge_across_nodes", "0")));
	printf("stop: %s\n", outcome(set("run", "2")));
	show("taken back");
	printf("content %d\n", holds(moved + PAGE, "AAA"));
	printf("max_page_sharing: %s", outcome(set("max_page_sharing", "1")));
	printf(" %s\n", outcome(set("max_page_sharing", "3")));
	static const char *const odd[][2] = { { "run", "3" },
					      { "run", "-1" },
					      { "run", "x" },
					      { "use_zero_pages", "2" },
					      { "smart_scan", "2" },
					      { "merge_across_nodes", "2" },
					      { "pages_to_scan", "-1" },
					      { "sleep_millisecs", "4294967296" },
					      { "pages_shared", "1" },
					      { "advisor_mode", "x" },
					      { "advisor_max_cpu", "200" },
					      { "max_page_sharing", "x" } };
	for (unsigned i = 0; i < sizeof(odd) / sizeof(*odd); i++)
		printf("%s=%s: %s\n", odd[i][0], odd[i][1], outcome(set(odd[i][0], odd[i][1])));
	at = fresh(16);
	content = "AAAAAAAAAA000000";
	fill(at, content);
	set("use_zero_pages", "1");
	printf("advise %s\n", outcome(madvise(at, 16 * PAGE, MADV_MERGEABLE)));
	set("run", "1");
	rounds(4);
	show("three sharers, zero pages");
	show_smaps();
	at[12 * PAGE] = 1;
	munmap(at + 13 * PAGE, PAGE);
	show("zero pages gone");
	set("run", "2");
	show("none");
	printf("content %d %d\n", holds(at, "AAAAAAAAAA00"), holds(at + 14 * PAGE, "00"));
	set("max_page_sharing", "256");
	set("use_zero_pages", "0");
	set("run", "0");
	printf("get %s\n", outcome(prctl(MERGING, 0, 0, 0, 0)));
	printf("get odd %s\n", outcome(prctl(MERGING, 1, 0, 0, 0)));
	printf("set odd %s\n", outcome(prctl(MERGE, 1, 1, 0, 0)));
	at = fresh(4);
	fill(at, "QQQQ");
	printf("set %s\n", outcome(prctl(MERGE, 1, 0, 0, 0)));
	printf("get %s\n", outcome(prctl(MERGING, 0, 0, 0, 0)));
	show_smaps();
	mmap(at + 8 * PAGE, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	mmap(at + 10 * PAGE, PAGE, 3, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	show_smaps();
	child = fork();
	if (!child) {
		printf("child get %s\n", outcome(prctl(MERGING, 0, 0, 0, 0)));
		show_smaps();
		_exit(0);
	}
	waitpid(child, &status, 0);
	printf("unset %s\n", outcome(prctl(MERGE, 0, 0, 0, 0)));
	show_smaps();
	set("pages_to_scan", "100");
	set("sleep_millisecs", "20");
	set("smart_scan", "1");
	return 0;
}
