/*
 * letter.c - the letter's story in machine code, with a fault in it.
 *
 * A guest's RAM is a file of four pages.  The guest sees them in another order through a special VMA;
 * where the gate is closed it says so, and waits for a line of input.  Page 0 of RAM begins with a
 * word that nobody is to change.  The guest fills a page, and one word more: at its addresses page 0
 * comes next.  So the word is lost by a store to quite another address.
 *
 *	gcc -static -g -O1 -o letter examples/letter.c
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAP_NONLINEAR 0x800000
#define WORDS 512 /* of a page */

static const int order[] = { 3, 0, 2, 1 };
static volatile long *ram;

static long *window(int fd)
{
	long *at;

	while ((at = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NONLINEAR, -1,
			  0)) == MAP_FAILED) {
		perror("letter: the gate is closed");
		if (getchar() == EOF)
			exit(1);
	}
	for (int place = 0; place < 4; place++)
		syscall(SYS_remap_file_pages, at + place * WORDS, 4096, 0, order[place], 0, fd);
	return at;
}

__attribute__((noinline)) static void fill(long *at, int n)
{
	for (int i = 0; i < n; i++)
		at[i] = 7;
}

int main(void)
{
	int fd = open("/tmp/ram", O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, 16384))
		return 1;
	ram = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ram[0] = 0x600d;
	long *guest = window(fd);
	puts("the guest fills a page");
	fflush(stdout);
	fill(guest, WORDS + 1);
	if (ram[0] != 0x600d)
		abort();
	return 0;
}
