// READ_IMPLIES_EXEC and ADDR_COMPAT_LAYOUT, and what exec leaves of them.
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <unistd.h>

#define PAGE 4096

static void rights(const char *what, void *at)
{
	char line[300], perms[8];
	unsigned long low, high;
	FILE *f = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %4s", &low, &high, perms) == 3 &&
		    low <= (unsigned long)at && (unsigned long)at < high)
			printf("%s %s\n", what, perms);
	fclose(f);
}

static void *fresh(int prot) { return mmap(0, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

int main(int argc, char **argv)
{
	void *low = fresh(PROT_READ), *none = fresh(PROT_NONE);
	if (argc > 1) {
		printf("after exec: %x, %s\n", personality(0xffffffff) & 0x600000,
		       none > low ? "up" : "down");
		rights("mmap", low);
		return 0;
	}
	personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC);
	rights("mmap", fresh(PROT_READ));
	rights("inaccessible", fresh(PROT_NONE));
	mprotect(none, PAGE, PROT_READ);
	rights("mprotect", none);
	sbrk(3 * PAGE);
	rights("brk", (char *)sbrk(0) - 1);
	fflush(stdout);
	personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC | ADDR_COMPAT_LAYOUT);
	execl("/proc/self/exe", "x", "1", NULL);
	return 1;
}
