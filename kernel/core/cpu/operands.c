/*
 * operands.c - what the engine does not look at in an instruction's operand in memory.
 *
 *	aligned   an operand of 16 bytes off its place is a general protection fault
 *	whole     a store of more than 8 bytes that reaches into a page which faults changes nothing
 *	locked    the prefix lock before what cannot be made in one step is an invalid instruction
 *	port      ins and outs with a repeat prefix are refused before they count, however often they are to run
 *
 * Where a block holds such an instruction (blocks.c), and its bytes alone do not tell that all is well,
 * a hook is set.
 *
 * A hook costs its own instruction much, and the translation of all others a little.  So one that
 * was well ENOUGH times is taken away: a place that misbehaves only later is not caught.  And of more
 * than MOST hooks the oldest goes.  Both are counted in what the program does, so runs are the same.
 */
#include "processor.h"

#include "insn.h"

#include <stdlib.h>

#define ENOUGH 64
#define ALIGNED 16
#define LOCK 0xf0

enum { NOT_LOOKED_AT, WANTS_PLACE, WANTS_WHOLE, WANTS_PORT, IS_INVALID };

struct place {
	uint64_t address, frame; /* where it was found last */
	engine_hook hook;
	uint32_t well; /* times, or ENOUGH: no hook is there */
	uint8_t bytes[MAX_INSN];
	uint8_t length; /* of these; 0: no hook has been there */
};

/* ---- which instructions ---- */

/* One bit for each opcode of a row of 16. */
typedef uint16_t rows[16];

static const rows either = { [1] = 0x0030, [2] = 0x0b00, [5] = 0xfbf2, [0xc] = 0x0044 };
static const rows plain = { [5] = 0x000c };
static const rows with_66 = { [5] = 0x0400,   [6] = 0xbfff,   [7] = 0xb071,
			      [0xd] = 0xff3f, [0xe] = 0xffff, [0xf] = 0x7f7e };
static const rows with_f2 = { [7] = 0x3001, [0xd] = 0x0001, [0xe] = 0x0040 };
static const rows with_f3 = { [1] = 0x0044, [5] = 0x0800, [7] = 0x0001 };
static const rows with_66_38 = { [0] = 0x0fff, [1] = 0x70b1, [2] = 0x0f00,
				 [3] = 0xff80, [4] = 0x0003, [0xd] = 0xf800 };
static const rows with_66_3a = { [0] = 0xf300, [4] = 0x0017, [0xd] = 0x8000 };

static bool holds(const rows r, uint8_t opcode) { return r[opcode >> 4] >> (opcode & 15) & 1; }

static bool is_aligned_0f(const struct insn *in)
{
	if (in->repeat)
		return holds(in->repeat == 0xf2 ? with_f2 : with_f3, in->opcode);
	return holds(either, in->opcode) || holds(in->word ? with_66 : plain, in->opcode);
}

static bool is_aligned(const struct insn *in)
{
	switch (in->map) {
	case MAP_0F:
		return is_aligned_0f(in);
	case MAP_0F38:
		return in->word && !in->repeat && holds(with_66_38, in->opcode);
	case MAP_0F3A:
		return in->word && !in->repeat && holds(with_66_3a, in->opcode);
	default:
		return false;
	}
}

/* Bytes that it stores in more than one access; 0: it does not. */
static uint64_t stores_in_parts(const struct insn *in)
{
	uint8_t reg = in->modrm >> 3 & 7;

	if (in->map == MAP_ONE)
		return reg != 6 ? 0 : in->opcode == 0xdd ? 108 : in->opcode == 0xd9 ? 28 : 0;
	if (in->map != MAP_0F)
		return 0;
	if (in->opcode == 0xae)
		return reg == 0 && !in->repeat && !in->word ? 512 : 0;
	bool unaligned = (in->opcode == 0x11 && !in->repeat) ||
			 (in->opcode == 0x7f && in->repeat == 0xf3);
	return unaligned ? 16 : 0;
}

static const rows lockable = { [0] = 0x0303, [1] = 0x0303, [2] = 0x0303,
			       [3] = 0x0003, [8] = 0x00cb, [0xf] = 0xc0c0 };
static const rows lockable_0f = { [0xa] = 0x0800, [0xb] = 0x0c0b, [0xc] = 0x0083 };

/* One bit for each register of modrm that names one of a group's instructions which may have the prefix. */
static unsigned lockable_of_group(const struct insn *in)
{
	static const struct {
		uint8_t map, opcode, mask, regs;
	} groups[] = {
		{ MAP_ONE, 0x80, 0xfc, 0x7f }, /* all but cmp */
		{ MAP_ONE, 0xf6, 0xfe, 0x0c }, /* not, neg */
		{ MAP_ONE, 0xfe, 0xfe, 0x03 }, /* inc, dec */
		{ MAP_0F, 0xba, 0xff, 0xe0 },  /* bts, btr, btc */
		{ MAP_0F, 0xc7, 0xff, 0x02 },  /* cmpxchg16b */
	};

	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		if (in->map == groups[i].map && (in->opcode & groups[i].mask) == groups[i].opcode)
			return groups[i].regs;
	return 0xff;
}

static bool takes_lock(const struct insn *in)
{
	const uint16_t *opcodes = in->map == MAP_ONE ? lockable : lockable_0f;

	return in->memory && !in->vex && in->map <= MAP_0F && holds(opcodes, in->opcode) &&
	       lockable_of_group(in) >> (in->modrm >> 3 & 7) & 1;
}

static bool is_port_string(uint8_t opcode) { return (opcode & 0xfc) == 0x6c; }

static int what_it_wants(const struct insn *in, uint64_t *nbytes)
{
	*nbytes = ALIGNED;
	if (in->lock && !takes_lock(in))
		return IS_INVALID;
	if (in->map == MAP_ONE && in->repeat && is_port_string(in->opcode))
		return WANTS_PORT;
	if (!in->memory || in->vex)
		return NOT_LOOKED_AT;
	if (is_aligned(in))
		return WANTS_PLACE;
	*nbytes = stores_in_parts(in);
	return *nbytes ? WANTS_WHOLE : NOT_LOOKED_AT;
}

static bool is_prefix(uint8_t byte)
{
	return (byte & 0xf0) == 0x40 || (byte & 0xfc) == 0x64 || (byte & 0xe7) == 0x26 ||
	       (byte & 0xfe) == 0xf2;
}

/* Can bytes be the opcode of one that wants something? */
bool operand_may_want(uint8_t byte, uint8_t next)
{
	if (byte == LOCK || (is_port_string(next) && is_prefix(byte)))
		return true;
	if (byte != 0x0f)
		return (byte & 0xfb) == 0xd9 && (next >> 3 & 7) == 6; /* 0xd9, 0xdd */
	return holds(either, next) || holds(plain, next) || holds(with_66, next) ||
	       holds(with_f2, next) || holds(with_f3, next) || next == 0x11 || next == 0xae ||
	       next == 0x38 || next == 0x3a;
}

static bool is_well(int wants, uint64_t at, uint64_t nbytes)
{
	if (wants == WANTS_PLACE)
		return !(at % ALIGNED);
	return wants == WANTS_WHOLE && (at & PAGE_MASK) == ((at + nbytes - 1) & PAGE_MASK);
}

/* ---- where its operand lies ---- */

uint64_t general(processor *p, uint8_t number)
{
	/* clang-format off */
	static const int regs[] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
	/* clang-format on */
	return number == NO_REGISTER ? 0 : read_reg(p, regs[number]);
}

uint64_t operand_at(processor *p, const struct insn *in, uint64_t address)
{
	uint64_t at = general(p, in->base) + general(p, in->index) * in->scale + (uint64_t)in->disp;

	if (in->after)
		at += address + in->length;
	if (in->short_address)
		at = (uint32_t)at;
	if (in->segment)
		at += read_reg(p, in->segment == 0x64 ? REG_FS_BASE : REG_GS_BASE);
	return at;
}

/* ---- places ---- */

/* NULL: none was there. */
static struct place *place_at(const struct places *s, uint64_t address)
{
	return site_at(&s->sites, address)->what;
}

/* Of address, new if need be; NULL: the host has no memory. */
static struct place *make_place(struct places *s, uint64_t address)
{
	if (!sites_make_room(&s->sites))
		return NULL;
	struct code_site *site = site_at(&s->sites, address);
	if (site->what)
		return site->what;
	struct place *place = calloc(1, sizeof(*place));
	if (!place)
		return NULL;
	*site = (struct code_site){ address, place };
	s->sites.nr++;
	place->address = address;
	place->well = ENOUGH;
	return place;
}

static void retire(processor *p, struct place *place)
{
	if (place->well == ENOUGH)
		return;
	place->well = ENOUGH;
	take_hook(p, place->hook);
	drop_code(p, place->frame, place->address, place->address + 1);
}

/* ---- the hooks ---- */

/*
 * The second page of a store that is to be whole: a verdict or a need ends the run before it.  What
 * stores a whole state looks at its last byte first, as an AMD processor does.
 */
static void reach_second(processor *p, uint64_t last, uint64_t nbytes)
{
	uint64_t page = last & PAGE_MASK;
	int64_t at = mm_translate(p->mm, page, ACCESS_WRITE), status = 0;

	if (at < 0)
		status = mm_fault(p->mm, page, ACCESS_WRITE);
	if (!status)
		return;
	stop_access(p, status, nbytes > ALIGNED ? last : page, ACCESS_WRITE);
	p->lib.call.stop(p->uc);
}

/* Let the hook of a place go before the engine is entered again; tell whether there is room. */
static bool tire(struct places *s, uint64_t address)
{
	if (s->nr_tired == MAX_TIRED)
		return false;
	s->tired[s->nr_tired++] = address;
	return true;
}

static void note_well(processor *p, struct place *place)
{
	bool enough = place->well < ENOUGH - 1 && ++place->well == ENOUGH - 1;

	if (enough && tire(&p->places, place->address))
		leave_soon(p);
}

static void operand_hook(engine *uc, uint64_t address, uint32_t size, void *arg)
{
	processor *p = arg;
	uint8_t bytes[MAX_INSN];
	struct insn in;
	uint64_t nbytes;

	(void)uc, (void)size;
	p->counters.looks++;
	if (p->stopped || p->probing || !p->mm)
		return;
	if (!insn_decode(bytes, read_code(p, address, bytes, MAX_INSN), &in))
		return;
	int wants = what_it_wants(&in, &nbytes);
	if (wants == NOT_LOOKED_AT)
		return; /* other code has come there */
	uint64_t at = operand_at(p, &in, address);
	if (is_well(wants, at, nbytes))
		note_well(p, place_at(&p->places, address));
	else if (wants != WANTS_WHOLE)
		raise_exception(p, wants == IS_INVALID ? VECTOR_INVALID : VECTOR_PROTECTION);
	else
		reach_second(p, at + nbytes - 1, nbytes);
}

/* ---- an instruction of a block that the engine has translated ---- */

static bool hook_place(processor *p, uint64_t address, const struct insn *in, const uint8_t *bytes)
{
	void *hook = (void *)(any_hook)operand_hook;
	struct places *s = &p->places;

	struct place *place = make_place(s, address);
	if (!place)
		return false;
	bool same = place->length == in->length && !memcmp(place->bytes, bytes, in->length);
	if (same || place->well < ENOUGH)
		return false; /* it has its hook, or needs none any more */
	if (p->lib.call.hook_add(p->uc, &place->hook, HOOK_CODE, hook, p, address, address))
		return false;
	p->counters.hooks++;
	place->frame = frame_of(p, address);
	place->well = 0;
	place->length = in->length;
	memcpy(place->bytes, bytes, in->length);
	uint64_t *oldest = &s->recent[s->nr_hooked++ % MOST_PLACES];
	if (*oldest)
		tire(s, *oldest);
	*oldest = address;
	return true;
}

static bool needs_hook(const struct insn *in, uint64_t address)
{
	uint64_t nbytes;
	int wants = what_it_wants(in, &nbytes);
	bool known = in->after && !in->segment;

	return wants != NOT_LOOKED_AT &&
	       !(known && is_well(wants, address + in->length + (uint64_t)in->disp, nbytes));
}

bool operand_look(processor *p, uint64_t address, const struct insn *in, const uint8_t *bytes)
{
	return needs_hook(in, address) && hook_place(p, address, in, bytes);
}

/* Before the engine is entered. */
void operands_settle(processor *p)
{
	struct places *s = &p->places;

	for (uint64_t i = 0; i < s->nr_tired; i++)
		retire(p, place_at(s, s->tired[i]));
	s->nr_tired = 0;
}

void operands_forget(processor *p)
{
	struct code_sites *s = &p->places.sites;

	for (uint64_t i = 0; i < s->room; i++)
		free(s->at[i].what);
	free(s->at);
}
