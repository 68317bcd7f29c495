/*
 * hostcpu.c - prints what the host's processor says of its newer features:
 * register ECX of CPUID's leaf 7, in hex; 0 where there is no such leaf.
 */
#include <cpuid.h>
#include <stdio.h>

int main(void)
{
	unsigned int eax, ebx, ecx, edx;

	if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
		ecx = 0;
	printf("%x\n", ecx);
	return 0;
}
