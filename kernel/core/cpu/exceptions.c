/*
 * exceptions.c - what an instruction raises where the engine tells of another exception, and its error code.
 *
 * The engine knows no error code, tells of `int n` as of exception n, and takes some instructions for
 * others.  So the instruction at which it stopped is looked at again.  Descriptors lie in a page that is
 * shown to instructions that load or look at a segment, and to no other.
 */
#include "processor.h"

#include "insn.h"

#define OPCODE_INT 0xcd
#define OPCODE_MOV_SEGMENT 0x8e
#define OPCODE_RET 0xc3
#define OPCODE_GROUP 0xff
#define CALL 2 /* of that group */
#define OPCODE_POP_FS 0xa1
#define OPCODE_POP_GS 0xa9
#define INT_BYTES 2
#define IN_IDT 2 /* of an error code: its number is a gate's */
#define SELECTOR 0xfffcul
#define RSP 4
#define RBP 5

/* Bit n is register n of modrm. */
#define ANY 0xff
#define ONLY(reg) (1u << (reg))
#define NO_CR (ONLY(1) | ONLY(5) | ONLY(6) | ONLY(7))

struct form {
	uint8_t map, opcode, regs;
};

static const struct mistake {
	struct form form;
	uint8_t told, raised;
} mistakes[] = {
	{ { MAP_ONE, 0x6c, ANY }, VECTOR_PAGE_FAULT, VECTOR_PROTECTION }, /* ins, outs */
	{ { MAP_ONE, 0x6d, ANY }, VECTOR_PAGE_FAULT, VECTOR_PROTECTION },
	{ { MAP_ONE, 0x6e, ANY }, VECTOR_PAGE_FAULT, VECTOR_PROTECTION },
	{ { MAP_ONE, 0x6f, ANY }, VECTOR_PAGE_FAULT, VECTOR_PROTECTION },
	{ { MAP_ONE, 0xf1, ANY }, VECTOR_INVALID, VECTOR_DEBUG },       /* int1 */
	{ { MAP_0F, 0x20, NO_CR }, VECTOR_PROTECTION, VECTOR_INVALID }, /* mov of %cr1, ... */
	{ { MAP_0F, 0x22, NO_CR }, VECTOR_PROTECTION, VECTOR_INVALID },
	{ { MAP_0F, 0x33, ANY }, VECTOR_INVALID, VECTOR_PROTECTION }, /* rdpmc */
};

static const struct form descriptor_readers[] = {
	{ MAP_ONE, OPCODE_MOV_SEGMENT, ANY },
	{ MAP_ONE, 0xca, ANY }, /* lret */
	{ MAP_ONE, 0xcb, ANY },
	{ MAP_ONE, 0xcf, ANY },               /* iret */
	{ MAP_ONE, 0xff, ONLY(3) | ONLY(5) }, /* lcall, ljmp */
	{ MAP_0F, 0x00, ONLY(4) | ONLY(5) },  /* verr, verw */
	{ MAP_0F, 0x02, ANY },                /* lar */
	{ MAP_0F, 0x03, ANY },                /* lsl */
	{ MAP_0F, OPCODE_POP_FS, ANY },
	{ MAP_0F, OPCODE_POP_GS, ANY },
	{ MAP_0F, 0xb2, ANY }, /* lss, lfs, lgs */
	{ MAP_0F, 0xb4, ANY },
	{ MAP_0F, 0xb5, ANY },
};

static const struct form stack_users[] = {
	{ MAP_ONE, 0x68, ANY },         { MAP_ONE, 0x6a, ANY },     { MAP_ONE, 0x8f, ONLY(0) },
	{ MAP_ONE, 0x9c, ANY },         { MAP_ONE, 0x9d, ANY },     { MAP_ONE, 0xc2, ANY },
	{ MAP_ONE, 0xc3, ANY },         { MAP_ONE, 0xc8, ANY },     { MAP_ONE, 0xe8, ANY },
	{ MAP_ONE, 0xff, ONLY(2) },     { MAP_ONE, 0xff, ONLY(6) }, { MAP_0F, 0xa0, ANY },
	{ MAP_0F, OPCODE_POP_FS, ANY }, { MAP_0F, 0xa8, ANY },      { MAP_0F, OPCODE_POP_GS, ANY },
};

static const struct form jumps[] = {
	{ MAP_ONE, 0xc2, ANY },
	{ MAP_ONE, OPCODE_RET, ANY },
	{ MAP_ONE, OPCODE_GROUP, ONLY(CALL) | ONLY(4) },
};

static bool is_push_or_pop(const struct insn *in)
{
	return in->map == MAP_ONE && (in->opcode & 0xf0) == 0x50;
}

static bool has_form(const struct insn *in, const struct form *f)
{
	return in->map == f->map && in->opcode == f->opcode && !in->vex &&
	       f->regs >> (in->modrm >> 3 & 7) & 1;
}

static bool is_among(const struct insn *in, const struct form *forms, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (has_form(in, &forms[i]))
			return true;
	return false;
}
#define IS_AMONG(in, forms) is_among(in, forms, sizeof(forms) / sizeof(*(forms)))

static bool insn_at(processor *p, uint64_t rip, struct insn *in)
{
	uint8_t bytes[MAX_INSN];

	return insn_decode(bytes, read_code(p, rip, bytes, MAX_INSN), in);
}

/* May the instruction that is being made read the page of descriptors?  Not as its operand. */
bool reads_descriptor(processor *p)
{
	uint64_t rip = read_reg(p, REG_RIP);
	struct insn in;

	return insn_at(p, rip, &in) && IS_AMONG(&in, descriptor_readers) &&
	       !(in.memory && (operand_at(p, &in, rip) & PAGE_MASK) == HIDDEN_LINEAR);
}

/* ---- int n ---- */

/* The engine tells of it with rip behind it; of `int 6` as of an invalid instruction. */
static bool take_int(processor *p)
{
	struct run_exit *e = &p->exit;
	uint64_t start = e->vector == VECTOR_INVALID ? e->rip : e->rip - INT_BYTES;
	uint8_t bytes[INT_BYTES];

	if (read_code(p, start, bytes, INT_BYTES) < INT_BYTES || bytes[0] != OPCODE_INT ||
	    bytes[1] != e->vector)
		return false;
	if (e->vector == VECTOR_BREAKPOINT || e->vector == VECTOR_OVERFLOW)
		return true;
	e->error = e->vector << 3 | IN_IDT; /* that gate is not for programs */
	e->vector = VECTOR_PROTECTION;
	write_reg(p, REG_RIP, e->rip = start);
	return true;
}

/* ---- jumps ---- */

/* Where the jump lies that ends a block; 0: it cannot be read. */
static uint64_t jump_of(processor *p, uint64_t at, struct insn *in)
{
	for (; insn_at(p, at, in); at += in->length)
		if (IS_AMONG(in, jumps))
			return at;
	return 0;
}

/* By how much a jump has moved the stack. */
static uint64_t moved_stack(processor *p, uint64_t at, const struct insn *in)
{
	uint8_t bytes[2];

	if (in->opcode == OPCODE_GROUP)
		return (in->modrm >> 3 & 7) == CALL ? -8ul : 0;
	if (in->opcode == OPCODE_RET)
		return 8;
	return read_code(p, at + in->length - 2, bytes, 2) < 2
		       ? 8
		       : 8 + (bytes[0] | (uint64_t)bytes[1] << 8);
}

/* One to what is no address changes nothing: its exception is where it stands. */
static void take_jump_back(processor *p)
{
	struct run_exit *e = &p->exit;
	struct insn in;
	uint64_t at = 0;

	if (e->vector == VECTOR_PROTECTION && !is_canonical(e->rip) && p->block_at)
		at = jump_of(p, p->block_at, &in);
	if (!at)
		return;
	write_reg(p, REG_RSP, read_reg(p, REG_RSP) - moved_stack(p, at, &in));
	write_reg(p, REG_RIP, e->rip = at);
}

/* ---- the others ---- */

static void correct(processor *p, const struct insn *in)
{
	struct run_exit *e = &p->exit;
	uint64_t told = e->reason == RUN_FAULT ? VECTOR_PAGE_FAULT : e->vector;

	for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++)
		if (mistakes[i].told == told && has_form(in, &mistakes[i].form)) {
			e->reason = RUN_EXCEPTION;
			e->vector = mistakes[i].raised;
			break;
		}
	if (e->vector != VECTOR_DEBUG || told == VECTOR_DEBUG)
		return;
	e->asked_for = 1;
	write_reg(p, REG_RIP, e->rip += in->length); /* a trap */
}

/* What is no address is the stack segment's affair where the stack is meant. */
static bool is_off_stack(processor *p, const struct insn *in)
{
	bool by_stack = in->memory && (in->base == RSP || in->base == RBP) && !in->segment;

	if (is_push_or_pop(in) || IS_AMONG(in, stack_users))
		return !is_canonical(general(p, RSP));
	return by_stack && !is_canonical(operand_at(p, in, p->exit.rip));
}

/* The selector that it loads; 0: it loads none, or it cannot be read. */
static uint64_t selector_of(processor *p, const struct insn *in)
{
	bool pops = in->map == MAP_0F &&
		    (in->opcode == OPCODE_POP_FS || in->opcode == OPCODE_POP_GS);
	bool moves = in->map == MAP_ONE && in->opcode == OPCODE_MOV_SEGMENT;
	uint8_t bytes[2];

	if (moves && !in->memory)
		return general(p, in->rm);
	if (!pops && !moves)
		return 0;
	uint64_t at = pops ? general(p, RSP) : operand_at(p, in, p->exit.rip);
	for (uint64_t i = 0; i < sizeof(bytes); i++) {
		int64_t found = is_canonical(at + i) ? mm_translate(p->mm, at + i, ACCESS_READ)
						     : -1;
		if (found < 0)
			return 0;
		bytes[i] = (uint8_t)p->machine->arena[found];
	}
	return bytes[0] | (uint64_t)bytes[1] << 8;
}

/* Make exit, which tells of an exception or of a wrong access, tell what hardware raises. */
void correct_exception(processor *p)
{
	struct run_exit *e = &p->exit;
	struct insn in;

	if (e->reason == RUN_EXCEPTION && take_int(p))
		return;
	if (e->reason == RUN_EXCEPTION)
		take_jump_back(p);
	if (!insn_at(p, e->rip, &in))
		return;
	correct(p, &in);
	if (e->reason != RUN_EXCEPTION || e->vector != VECTOR_PROTECTION)
		return;
	if (is_off_stack(p, &in))
		e->vector = VECTOR_STACK;
	else
		e->error = selector_of(p, &in) & SELECTOR;
}
