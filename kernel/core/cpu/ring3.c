/*
 * ring3.c - the life of a processor: opening, entering user mode, self test.
 *
 * User mode is entered once, by an iretq from a page that is shown only while
 * booting; the registers it leaves are what every program starts from.  The
 * self test then divides by zero twice and finds the word that the engine
 * fails to reset; an engine that cannot be mended is refused.
 */
#include "processor.h"

#include "host.h"

#include <stdlib.h>

#define CODE_BYTES (32u << 20) /* of translated code */
#define CR0_START 0x80050033ul /* PE MP ET NE WP AM PG */
#define CR4_START 0x620ul      /* PAE OSFXSR OSXMMEXCPT */
#define MSR_EFER 0xc0000080u
#define EFER_START 0xd01ul /* SCE LME LMA NXE */
#define KERNEL_CS 0x10
#define KERNEL_SS 0x18
#define USER_SS 0x2b
#define USER_CS 0x33
#define CODE_AT 0x100  /* offsets in the hidden page */
#define FRAME_AT 0x200 /* what iretq pops */
#define TEST_AT 0x300
#define HIDDEN_BYTES (2 * PAGE_SIZE)
#define TEST_LINEAR 0x10000ul
#define VECTOR_DIVIDE 0
#define VECTOR_DOUBLE_FAULT 8

/* Linux's: code and data of kernel and users, and the limit of the last tells processor and node. */
static const uint64_t gdt[16] = {
	[1] = 0x00cf9b000000ffff, [2] = 0x00af9b000000ffff,  [3] = 0x00cf93000000ffff,
	[4] = 0x00cffb000000ffff, [5] = 0x00cff3000000ffff,  [6] = 0x00affb000000ffff,
	[8] = 0x00008b0000004087, [15] = 0x0040f50000000000,
};
static const uint8_t iretq[] = { 0x48, 0xcf };
/* xor ecx,ecx; div ecx; and a jump: the engine translates up to one, or all of the page's zeroes. */
static const uint8_t divide[] = { 0x31, 0xc9, 0xf7, 0xf1, 0xeb, 0xfe };

static int64_t failed(processor *p, const char *what)
{
	return engine_failed(&p->lib, -EIO, "the engine fails its self test", what);
}

static void fill_hidden(processor *p)
{
	const uint64_t frame[] = { TEST_LINEAR + TEST_AT, USER_CS, 0x202, TEST_LINEAR + PAGE_SIZE,
				   USER_SS };

	memset(p->hidden, 0, PAGE_SIZE);
	memcpy(p->hidden, gdt, sizeof(gdt));
	memcpy(p->hidden + CODE_AT, iretq, sizeof(iretq));
	memcpy(p->hidden + FRAME_AT, frame, sizeof(frame));
	memcpy(p->hidden + TEST_AT, divide, sizeof(divide));
}

static void set_system_registers(processor *p)
{
	struct engine_msr efer = { MSR_EFER, EFER_START };
	/* Where Linux has them: programs can ask. */
	struct engine_mmr table = { .base = HIDDEN_LINEAR, .limit = sizeof(gdt) - 1 };
	struct engine_mmr gates = { .base = HIDDEN_LINEAR - PAGE_SIZE, .limit = PAGE_SIZE - 1 };
	struct engine_mmr state = { .selector = 0x40 };

	p->lib.call.reg_write(p->uc, REG_MSR, &efer);
	write_reg(p, REG_CR4, CR4_START);
	write_reg(p, REG_CR0, CR0_START);
	p->lib.call.reg_write(p->uc, REG_GDTR, &table);
	p->lib.call.reg_write(p->uc, REG_IDTR, &gates);
	p->lib.call.reg_write(p->uc, REG_TR, &state);
	write_reg(p, REG_CS, KERNEL_CS);
	write_reg(p, REG_SS, KERNEL_SS);
	write_reg(p, REG_RIP, HIDDEN_LINEAR + CODE_AT);
	write_reg(p, REG_RSP, HIDDEN_LINEAR + FRAME_AT);
}

static int64_t pop_into_user_mode(processor *p)
{
	p->hidden_linear = HIDDEN_LINEAR;
	flush_tlb(p);
	begin_run(p);
	run_engine(
		p,
		HIDDEN_LINEAR +
			CODE_AT); /* ends at the first user instruction: nothing is mapped there */
	p->hidden_linear = 0;
	flush_tlb(p);
	if (read_reg(p, REG_CS) != USER_CS || read_reg(p, REG_RIP) != TEST_LINEAR + TEST_AT)
		return failed(p, "user mode cannot be entered");
	write_reg(p, REG_RSP, 0);
	return 0;
}

/* The vector of a division by zero in user mode, ~0 if something else happened. */
static uint64_t divide_by_zero(processor *p, engine_context *from)
{
	p->lib.call.context_restore(p->uc, from);
	write_reg(p, REG_RIP, TEST_LINEAR + TEST_AT);
	p->hidden_linear = TEST_LINEAR;
	flush_tlb(p);
	begin_run(p);
	run_engine(p, TEST_LINEAR + TEST_AT);
	p->hidden_linear = 0;
	flush_tlb(p);
	return p->stopped && p->exit.reason == RUN_EXCEPTION ? p->exit.vector : ~0ul;
}

static bool is_candidate(processor *p, engine_context *after, size_t at)
{
	int32_t before, now;

	memcpy(&before, (char *)p->pristine + at, sizeof(before));
	memcpy(&now, (char *)after + at, sizeof(now));
	return before == -1 && now == VECTOR_DIVIDE;
}

static int64_t find_exception_word(processor *p, engine_context *after)
{
	for (size_t at = 0; at + sizeof(int32_t) <= p->context_bytes; at += sizeof(int32_t)) {
		if (!is_candidate(p, after, at))
			continue;
		memcpy(p->scratch, after, p->context_bytes);
		memset((char *)p->scratch + at, 0xff, sizeof(int32_t));
		if (divide_by_zero(p, p->scratch) != VECTOR_DIVIDE)
			continue;
		p->exception_at = at;
		return 0;
	}
	return failed(p, "its last exception cannot be found");
}

static int64_t test_exceptions(processor *p)
{
	engine_context *after;
	int64_t error = 0;

	if (p->lib.call.context_alloc(p->uc, &after))
		return -ENOMEM;
	if (divide_by_zero(p, p->pristine) != VECTOR_DIVIDE)
		error = failed(p, "a division by zero is not reported");
	p->lib.call.context_save(p->uc, after);
	uint64_t second = error ? 0 : divide_by_zero(p, after);
	if (!error && second == VECTOR_DOUBLE_FAULT)
		error = find_exception_word(p, after);
	else if (!error && second != VECTOR_DIVIDE)
		error = failed(p, "a second division by zero is not reported");
	p->lib.call.context_restore(p->uc, p->pristine);
	p->lib.call.context_free(after);
	return error;
}

int64_t enter_ring3(processor *p)
{
	fill_hidden(p);
	set_system_registers(p);
	int64_t error = pop_into_user_mode(p);
	if (error)
		return error;
	if (p->lib.call.context_alloc(p->uc, &p->pristine) ||
	    p->lib.call.context_alloc(p->uc, &p->scratch))
		return -ENOMEM;
	p->context_bytes = p->lib.call.context_size(p->uc);
	p->lib.call.context_save(p->uc, p->pristine);
	return test_exceptions(p);
}

/* Of that page alone: stores to memory under such a hook take the engine's slow way, always. */
static int hook_nothing(processor *p)
{
	const struct engine_hook_spec spec = { HOOK_UNMAPPED, 0, (any_hook)unmapped_hook };
	uint64_t last = p->nothing_paddr + PAGE_SIZE - 1;

	return engine_add_hook(&p->lib, p->uc, &spec, p->nothing_paddr, last, p);
}

static int64_t open_engine(processor *p)
{
	machine *m = p->machine;
	int64_t error = engine_open(&p->lib, m->arena, m->arena_bytes, CODE_BYTES, &p->uc);

	if (error)
		return error;
	p->hidden_paddr = m->arena_bytes;
	p->scrap_paddr = p->hidden_paddr + PAGE_SIZE;
	p->nothing_paddr = p->hidden_paddr + HIDDEN_BYTES;
	if (p->lib.call.mem_map_ptr(p->uc, p->hidden_paddr, HIDDEN_BYTES, ALLOW_ALL, p->hidden))
		return failed(p, "it does not take a page of its own");
	if (engine_add_hooks(&p->lib, p->uc, run_hooks, nr_run_hooks, p) || hook_nothing(p))
		return failed(p, "it does not take a hook");
	return enter_ring3(p);
}

int64_t run_create(machine *m, const char *library, processor **out)
{
	processor *p = calloc(1, sizeof(*p));

	*out = p;
	if (!p)
		return -ENOMEM;
	p->machine = m;
	p->looked_frame = NO_FRAME;
	p->blocks_left = ~0ul;
	link_alone(&p->queue);
	words_open(p);
	p->frames = host_reserve(m->nr_pages * sizeof(*p->frames));
	p->hidden = host_reserve(HIDDEN_BYTES);
	if (!p->frames || !p->hidden)
		return -ENOMEM;
	int64_t error = engine_load(&p->lib, library);
	return error ? error : open_engine(p);
}

void run_destroy(processor *p)
{
	if (!p)
		return;
	debug_close(p);
	if (p->pristine)
		p->lib.call.context_free(p->pristine);
	if (p->scratch)
		p->lib.call.context_free(p->scratch);
	if (p->uc)
		p->lib.call.close(p->uc);
	engine_unload(&p->lib);
	if (p->frames)
		host_release(p->frames, p->machine->nr_pages * sizeof(*p->frames));
	if (p->hidden)
		host_release(p->hidden, HIDDEN_BYTES);
	free(p->given);
	free(p->shared);
	free(p->notes);
	x87_forget(p);
	operands_forget(p);
	free(p);
}

const char *run_error(processor *p) { return p ? p->lib.error : "no memory"; }

const char *run_engine_text(processor *p, int64_t status) { return p->lib.call.text((int)status); }
