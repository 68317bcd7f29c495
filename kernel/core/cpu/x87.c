/*
 * x87.c - what the engine gets wrong of x87, right to the last of 80 bits.
 *
 * It computes transcendental functions and remainders in double precision, loads constants without a look at
 * how to round, takes denormals and infinities apart wrongly (FXTRACT) and rounds what FSCALE has exact:
 * silently.  Here the host's own x87 does the work: its whole state is loaded from the task's, so that
 * rounding, precision, tags, flags and exceptions are the processor's.
 *
 * Where a block holds one (blocks.c) a hook is set, once for each address.  The bytes are looked at again
 * when it is called, for other code may have come to the same address.
 */
#include "processor.h"

#include "insn.h"

#include <stdlib.h>

#define ESCAPE 0xd9
#define MAX_PREFIXES 3
#define MAX_BYTES (MAX_PREFIXES + 2)
#define FAULTS 0x3f /* of the control and of the status word */

/* What frstor loads and fnsave stores. */
struct state {
	uint32_t control, status, tags, ip, cs_opcode, dp, ds;
	uint8_t st[8][10]; /* from the top of the stack */
} __attribute__((packed));
_Static_assert(sizeof(struct state) == 108, "fnsave stores 108 bytes");

/* ---- the work ---- */

/* fnsave waits for nothing: an exception that is not masked is only noted in the status. */
#define COMPUTE(opcode) \
	asm volatile("frstor %0\n\t" opcode "\n\tfnsave %0" \
		     : "+m"(*s) \
		     : \
		     : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)")

static bool compute(struct state *s, uint8_t function)
{
#if defined(__x86_64__)
	uint16_t own;

	asm volatile("fnstcw %0" : "=m"(own));
	/* clang-format off */
	switch (function) {
	case 0xe9: COMPUTE("fldl2t"); break;
	case 0xea: COMPUTE("fldl2e"); break;
	case 0xeb: COMPUTE("fldpi"); break;
	case 0xec: COMPUTE("fldlg2"); break;
	case 0xed: COMPUTE("fldln2"); break;
	case 0xf0: COMPUTE("f2xm1"); break;
	case 0xf1: COMPUTE("fyl2x"); break;
	case 0xf2: COMPUTE("fptan"); break;
	case 0xf3: COMPUTE("fpatan"); break;
	case 0xf4: COMPUTE("fxtract"); break;
	case 0xf5: COMPUTE("fprem1"); break;
	case 0xf8: COMPUTE("fprem"); break;
	case 0xf9: COMPUTE("fyl2xp1"); break;
	case 0xfb: COMPUTE("fsincos"); break;
	case 0xfd: COMPUTE("fscale"); break;
	case 0xfe: COMPUTE("fsin"); break;
	case 0xff: COMPUTE("fcos"); break;
	default: return false;
	}
	/* clang-format on */
	asm volatile("fldcw %0" : : "m"(own));
	return true;
#else
	(void)s, (void)function;
	return false; /* the engine's own */
#endif
}

static bool is_computed(uint8_t function)
{
	static const uint8_t functions[] = { 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xf0, 0xf1, 0xf2, 0xf3,
					     0xf4, 0xf5, 0xf8, 0xf9, 0xfb, 0xfd, 0xfe, 0xff };

	return memchr(functions, function, sizeof(functions));
}

static int register_of(const struct state *s, int i)
{
	return REG_FP0 + (int)((s->status >> 11) + (uint32_t)i) % 8;
}

static void load_state(processor *p, struct state *s)
{
	memset(s, 0, sizeof(*s));
	s->control = (uint32_t)read_reg(p, REG_FPCW);
	s->status = (uint32_t)read_reg(p, REG_FPSW);
	s->tags = (uint32_t)read_reg(p, REG_FPTAG);
	for (int i = 0; i < 8; i++) {
		uint8_t wide[16] = { 0 };

		p->lib.call.reg_read(p->uc, register_of(s, i), wide);
		memcpy(s->st[i], wide, sizeof(s->st[i]));
	}
}

static void store_state(processor *p, const struct state *s)
{
	write_reg(p, REG_FPSW, s->status & 0xffff);
	for (int i = 0; i < 8; i++) {
		uint8_t wide[16] = { 0 };

		memcpy(wide, s->st[i], sizeof(s->st[i]));
		p->lib.call.reg_write(p->uc, register_of(s, i), wide);
	}
	write_reg(p, REG_FPTAG, s->tags & 0xffff);
}

/* ---- the hook ---- */

static bool is_prefix(uint8_t byte)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64,
					    0x65, 0x66, 0x67, 0xf2, 0xf3 };

	return (byte & 0xf0) == 0x40 || memchr(prefixes, byte, sizeof(prefixes));
}

/* Behind the instruction at address, if it is one of these; 0: it is not. */
static uint64_t decode(processor *p, uint64_t address, uint8_t *function)
{
	uint8_t bytes[MAX_BYTES];
	uint64_t nr = read_code(p, address, bytes, MAX_BYTES), i = 0;

	while (i < nr && i < MAX_PREFIXES && is_prefix(bytes[i]))
		i++;
	if (i + 1 >= nr || bytes[i] != ESCAPE || !is_computed(bytes[i + 1]))
		return 0;
	*function = bytes[i + 1];
	return address + i + 2;
}

static void x87_hook(engine *uc, uint64_t address, uint32_t size, void *arg)
{
	processor *p = arg;
	struct state s;
	uint8_t function;

	(void)uc, (void)size;
	p->counters.looks++;
	if (p->stopped || p->probing || !p->mm)
		return;
	uint64_t next = decode(p, address, &function);
	if (!next)
		return;
	load_state(p, &s);
	if (s.status & ~s.control & FAULTS)
		return; /* the one before has still to be reported, by the engine */
	if (!compute(&s, function))
		return;
	store_state(p, &s);
	write_reg(p, REG_RIP, next);
}

/* ---- an instruction of a block that the engine has translated ---- */

bool x87_may_want(uint8_t byte, uint8_t next) { return byte == ESCAPE && is_computed(next); }

bool x87_look(processor *p, uint64_t address, const struct insn *in)
{
	const struct engine_hook_spec spec = { HOOK_CODE, 0, (any_hook)x87_hook };
	struct code_sites *s = &p->x87;

	if (in->map != MAP_ONE || !x87_may_want(in->opcode, in->modrm) || !sites_make_room(s))
		return false;
	struct code_site *site = site_at(s, address);
	if (site->address || engine_add_hook(&p->lib, p->uc, &spec, address, address, p))
		return false;
	site->address = address;
	s->nr++;
	p->counters.hooks++;
	return true;
}

void x87_forget(processor *p) { free(p->x87.at); }
