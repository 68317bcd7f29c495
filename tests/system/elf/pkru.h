/* The register of protection keys' rights, without a compiler that knows it. */
#pragma once

static unsigned rdpkru(void)
{
	unsigned eax, edx;
	__asm__ volatile(".byte 0x0f,0x01,0xee" : "=a"(eax), "=d"(edx) : "c"(0));
	return eax;
}

static void wrpkru(unsigned value)
{
	__asm__ volatile(".byte 0x0f,0x01,0xef" ::"a"(value), "c"(0), "d"(0) : "memory");
}
