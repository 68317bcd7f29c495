/* native CODE DATA: run bytes of x86-64 code with RBX at DATA, print the 32 bytes behind DATA (hexadecimal). */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static size_t unhex(unsigned char *to, const char *hex)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++)
		sscanf(hex + 2 * i, "%2hhx", to + i);
	return n;
}

int main(int argc, char **argv)
{
	static unsigned char data[4096];
	unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t n = unhex(data, argv[2]);

	code[unhex(code, argv[1])] = 0xc3; /* ret */
	asm volatile("call *%0; fninit"
		     : : "r"(code), "b"(data)
		     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "xmm0", "xmm1", "memory", "cc");
	for (int i = 0; i < 32; i++)
		printf("%02x", data[n + i]);
}
