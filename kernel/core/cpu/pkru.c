/*
 * pkru.c - RDPKRU and WRPKRU, which the engine takes for invalid.
 *
 * The engine knows no protection keys: its TLB is filled from tables that
 * pkey.c has looked at, and these two instructions come here by way of the
 * exit for invalid ones.
 */
#include "processor.h"

#define INSN_BYTES 3

static const uint8_t rdpkru[INSN_BYTES] = { 0x0f, 0x01, 0xee };
static const uint8_t wrpkru[INSN_BYTES] = { 0x0f, 0x01, 0xef };

static bool fetch(processor *p, uint64_t rip, uint8_t *bytes)
{
	for (uint64_t i = 0; i < INSN_BYTES; i++) {
		int64_t at = mm_translate(p->mm, rip + i, ACCESS_EXEC);
		if (at < 0)
			return false;
		bytes[i] = (uint8_t)p->machine->arena[at];
	}
	return true;
}

static uint64_t low_half(processor *p, int reg) { return read_reg(p, reg) & 0xffffffff; }

static uint64_t read_pkru(processor *p)
{
	if (low_half(p, REG_RCX))
		return VECTOR_PROTECTION;
	write_reg(p, REG_RAX, mm_pkru(p->mm));
	write_reg(p, REG_RDX, 0);
	return VECTOR_NONE;
}

static uint64_t write_pkru(processor *p)
{
	if (low_half(p, REG_RCX) || low_half(p, REG_RDX))
		return VECTOR_PROTECTION;
	mm_set_pkru(p->mm, low_half(p, REG_RAX));
	return VECTOR_NONE;
}

/* Do the instruction at rip, which the engine could not: the exception that it raises. */
uint64_t do_invalid(processor *p)
{
	uint64_t rip = read_reg(p, REG_RIP), vector = VECTOR_INVALID;
	uint8_t bytes[INSN_BYTES];

	if (!(p->machine->features & CPU_PKU) || !fetch(p, rip, bytes))
		return VECTOR_INVALID;
	if (!memcmp(bytes, rdpkru, INSN_BYTES))
		vector = read_pkru(p);
	else if (!memcmp(bytes, wrpkru, INSN_BYTES))
		vector = write_pkru(p);
	if (vector == VECTOR_NONE) {
		mend_exception(p);
		write_reg(p, REG_RIP, rip + INSN_BYTES);
	}
	return vector;
}
