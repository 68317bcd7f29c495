// Adds to memory in more pages than any TLB holds: each addition is a load and a store that may miss.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES 8192ul

int main(void)
{
	char *memory = malloc(PAGES << 12);
	unsigned long at = 1, sum = 0;
	for (unsigned long i = 0; i < 400000; i++) {
		at = at * 6364136223846793005ul + 1442695040888963407ul;
		sum += memory[(at >> 33) % (PAGES << 12)]++;
	}
	for (unsigned long i = 0; i < PAGES << 12; i++)
		at += memory[i];
	printf("%lu %lu\n", sum, at);
	return 0;
}
