/*
 * cpuid.c - what the processor says of itself: the same on every host.
 *
 * A 64-bit processor with SSE up to 4.2, AES and POPCNT, as x86-64-v2 wants
 * them, and what the machine was booted with (enum cpu_features).  Left out on purpose: AVX and XSAVE (the engine computes 128-bit VEX
 * wrongly), RDRAND (a run must repeat), RDTSCP's clock is the program's own.
 */
#include "processor.h"

struct leaf {
	uint32_t eax, ebx, ecx, edx;
};

#define STRING4(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define MAX_BASIC 7
#define XSTATE 0xd /* where PKRU lies in a signal frame: kernel/tasks/registers/xstate.py */
#define XSTATE_BYTES 584
#define PKRU_AT 576
#define PKU_OSPKE 0x18 /* leaf 7, ecx: protection keys, and the kernel uses them */
#define MAX_EXTENDED 0x80000008
#define SIGNATURE 0x00020652 /* family 6, model 37: the first with all of these */
#define CLFLUSH_64_ONE_CPU 0x00010800
#define FEATURES_ECX 0x02982203 /* SSE3 PCLMUL SSSE3 CX16 SSE4.1 SSE4.2 POPCNT AES */
#define FEATURES_EDX 0x078bfbff /* FPU .. SSE2; kernel/tasks/program/exec.py gives it as AT_HWCAP */
#define EXTENDED_ECX 0x00000001 /* LAHF in 64-bit mode */
#define EXTENDED_EDX 0x28100800 /* LM RDTSCP NX SYSCALL */

/* ways, partitions and line size, less one each; sets less one */
#define CACHE(type, level) ((type) | (level) << 5 | 1 << 8)
#define GEOMETRY(ways) (((ways) - 1u) << 22 | 63)

static const struct leaf caches[] = {
	{ CACHE(1, 1), GEOMETRY(8), 63, 0 },    /* 32 KiB of data */
	{ CACHE(2, 1), GEOMETRY(4), 127, 0 },   /* 32 KiB of code */
	{ CACHE(3, 2), GEOMETRY(8), 511, 0 },   /* 256 KiB */
	{ CACHE(3, 3), GEOMETRY(16), 8191, 0 }, /* 8 MiB */
};
static const char brand[48] = "pkern virtual processor";

static struct leaf cache_leaf(uint32_t number)
{
	static const struct leaf none;

	return number < sizeof(caches) / sizeof(*caches) ? caches[number] : none;
}

static struct leaf brand_leaf(uint32_t part)
{
	struct leaf l;

	memcpy(&l, brand + part * sizeof(l), sizeof(l));
	return l;
}

static struct leaf xstate_leaf(uint32_t component)
{
	static const struct leaf none;

	switch (component) {
	case 0: /* x87, SSE and PKRU */
		return (struct leaf){ 0x203, XSTATE_BYTES, XSTATE_BYTES, 0 };
	case 9:
		return (struct leaf){ sizeof(uint64_t), PKRU_AT, 0, 0 };
	default:
		return none;
	}
}

static struct leaf look_up(const machine *m, uint32_t number, uint32_t sub)
{
	static const struct leaf none;
	bool keys = m->features & CPU_PKU;

	switch (number) {
	case 0:
		return (struct leaf){ keys ? XSTATE : MAX_BASIC, STRING4('G', 'e', 'n', 'u'),
				      STRING4('n', 't', 'e', 'l'), STRING4('i', 'n', 'e', 'I') };
	case 1:
		return (struct leaf){ SIGNATURE, CLFLUSH_64_ONE_CPU, FEATURES_ECX, FEATURES_EDX };
	case 4:
		return cache_leaf(sub);
	case 7:
		return (struct leaf){ 0, 0, keys && !sub ? PKU_OSPKE : 0, 0 };
	case XSTATE:
		return keys ? xstate_leaf(sub) : none;
	case 0x80000000:
		return (struct leaf){ MAX_EXTENDED, 0, 0, 0 };
	case 0x80000001:
		return (struct leaf){ 0, 0, EXTENDED_ECX, EXTENDED_EDX };
	case 0x80000002:
	case 0x80000003:
	case 0x80000004:
		return brand_leaf(number - 0x80000002);
	case 0x80000006:
		return (struct leaf){ 0, 0, 0x01006040, 0 }; /* 256 KiB in lines of 64 bytes */
	case 0x80000008:
		return (struct leaf){ 0x3028, 0, 0, 0 }; /* 40 physical, 48 linear bits */
	default:
		return none;
	}
}

void cpuid_read(machine *m, uint32_t number, uint32_t sub, uint32_t *out)
{
	struct leaf l = look_up(m, number, sub);

	memcpy(out, &l, sizeof(l));
}

int cpuid_hook(engine *uc, void *arg)
{
	processor *p = arg;
	struct leaf l =
		look_up(p->machine, (uint32_t)read_reg(p, REG_RAX), (uint32_t)read_reg(p, REG_RCX));

	(void)uc;
	write_reg(p, REG_RAX, l.eax);
	write_reg(p, REG_RBX, l.ebx);
	write_reg(p, REG_RCX, l.ecx);
	write_reg(p, REG_RDX, l.edx);
	return 1; /* nothing is left to the engine */
}
