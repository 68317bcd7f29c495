/*
 * blocks.c - the blocks of code that the engine translates, each before it is run.
 *
 * The engine tells of each block that it has made.  Where one holds an instruction that operands.c or
 * x87.c looks at, that one sets a hook, and the block is made once more; all other code pays nothing.
 * So no hook is where no instruction is: each one costs the translation of all code a little.
 *
 * What was made of some code is forgotten before the engine is entered again.  The engine looks for it
 * by address, so it is shown the frame that the code was made of, whoever runs then.
 */
#include "processor.h"

#include "insn.h"

uint64_t frame_of(processor *p, uint64_t at)
{
	int64_t place = p->mm ? mm_translate(p->mm, at, ACCESS_EXEC) : -EFAULT;

	return place < 0 ? NO_FRAME : (uint64_t)place & PAGE_MASK;
}

/*
 * Is there one among some code?  Most code has none, and need not be decoded.  What only looks like
 * one, in the middle of another instruction, is told apart later.
 */
static bool any_may_want(processor *p, uint64_t at, uint64_t nbytes)
{
	uint64_t frame = frame_of(p, at);

	if (frame == NO_FRAME || (at & PAGE_MASK) != ((at + nbytes - 1) & PAGE_MASK))
		return true;
	const uint8_t *code = (const uint8_t *)p->machine->arena + frame + (at & ~PAGE_MASK);
	for (uint64_t i = 0; i + 1 < nbytes; i++)
		if (operand_may_want(code[i], code[i + 1]) || x87_may_want(code[i], code[i + 1]))
			return true;
	return false;
}

/* Set the hooks that its instructions want: is one of them new? */
static bool hook_block(processor *p, uint64_t at, uint64_t end)
{
	uint8_t bytes[MAX_INSN];
	struct insn in;
	bool hooked = false;

	for (; at < end; at += in.length) {
		if (!insn_decode(bytes, read_code(p, at, bytes, MAX_INSN), &in))
			break;
		hooked |= operand_look(p, at, &in, bytes) || x87_look(p, at, &in);
	}
	return hooked;
}

void block_made(engine *uc, const struct engine_block *block, const struct engine_block *before,
		void *arg)
{
	processor *p = arg;
	uint64_t end = block->pc + block->size;

	(void)uc, (void)before;
	if (!p->mm || !any_may_want(p, block->pc, block->size) || !hook_block(p, block->pc, end))
		return;
	drop_code(p, frame_of(p, block->pc), block->pc, end);
	if (!p->probing)
		leave_soon(p);
}

void drop_code(processor *p, uint64_t frame, uint64_t from, uint64_t to)
{
	struct drops *d = &p->drops;
	uint64_t page_end = (from & PAGE_MASK) + PAGE_SIZE;

	d->all |= frame == NO_FRAME || d->nr == MAX_DROPS;
	if (!d->all)
		d->at[d->nr++] = (struct drop){ frame, from, to < page_end ? to : page_end };
}

/* The engine may have the page of another address space at hand: not where its TLB is empty. */
static void drop_shown(processor *p, const struct drop *d)
{
	bool here = frame_of(p, d->from) == d->frame && !is_stale(p);

	if (!here)
		flush_tlb(p);
	p->counters.drops++;
	p->looking = true;
	p->looked_frame = here ? NO_FRAME : d->frame;
	p->lib.call.control(p->uc, CONTROL_TB_REMOVE, d->from, d->to);
	p->looking = false;
	p->looked_frame = NO_FRAME;
}

void drops_settle(processor *p)
{
	struct drops *d = &p->drops;

	if (d->all) {
		p->lib.call.control(p->uc, CONTROL_TB_FLUSH);
		p->counters.forgotten++;
	}
	for (uint64_t i = 0; i < d->nr && !d->all; i++)
		drop_shown(p, &d->at[i]);
	d->nr = 0;
	d->all = false;
}
