/*
 * context.c - the registers of tasks: saved while another task runs.
 *
 * Only context_load() moves registers between the engine and a context, so
 * that a processor with one task never copies any.
 */
#include "processor.h"

#include <stdlib.h>

#define EFLAGS_START 0x202ul /* interrupts on, as Linux starts a program */
#define EFLAGS_RF 0x10000ul
#define EFLAGS_USER 0x44dd5ul /* CF PF AF ZF SF TF DF OF NT AC: what Linux lets others set */
#define FPCW_START 0x37f
#define FPTAG_START 0xffff /* every register empty */
#define MXCSR_START 0x1f80
#define MXCSR_MASK 0xffff

static const int gprs[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
			      REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
			      REG_R12, REG_R13, REG_R14, REG_R15 };

static void save_current(processor *p)
{
	context *c = p->current;

	if (!c)
		return;
	p->lib.call.context_save(p->uc, c->saved);
	if (!c->mm)
		return;
	c->pkru = (uint32_t)mm_pkru(c->mm);
	c->policy = c->mm->policy;
}

void context_load(context *c)
{
	processor *p = c->p;

	if (p->current == c)
		return;
	save_current(p);
	p->lib.call.context_restore(p->uc, c->saved);
	p->current = c;
	if (c->mm) {
		mm_set_pkru(c->mm, c->pkru);
		c->mm->policy = c->policy;
	}
	p->counters.switches++;
	if (c->runner && c->runner->woken) {
		c->runner->woken = 0;
		return_from_call(p, 0, read_reg(p, REG_RIP), read_reg(p, REG_EFLAGS));
	}
}

static context *context_alloc(processor *p)
{
	context *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->p = p;
	link_alone(&c->turn);
	link_alone(&c->sleep);
	if (p->lib.call.context_alloc(p->uc, &c->saved)) {
		free(c);
		return NULL;
	}
	return c;
}

context *context_create(processor *p)
{
	context *c = context_alloc(p);

	if (c)
		memcpy(c->saved, p->pristine, p->context_bytes);
	return c;
}

context *context_copy(context *from, mm *mm)
{
	context *c = context_alloc(from->p);

	if (!c)
		return NULL;
	if (from->p->current == from)
		from->p->lib.call.context_save(from->p->uc, c->saved);
	else
		memcpy(c->saved, from->saved, from->p->context_bytes);
	c->in_ia32_call = from->in_ia32_call;
	c->no_tsc = from->no_tsc;
	c->own_time = from->own_time;
	context_set_mm(c, mm);
	return c;
}

void context_set_own_time(context *c, uint64_t own) { c->own_time = own; }
void context_set_tsc(context *c, uint64_t allowed) { c->no_tsc = !allowed; }
int64_t context_has_tsc(context *c) { return !c->no_tsc; }
int64_t context_in_ia32_call(context *c) { return c->in_ia32_call; }

void context_destroy(context *c)
{
	if (!c)
		return;
	if (c->p->current == c) {
		c->p->current = NULL;
		c->p->mm = NULL;
	}
	link_take(&c->turn);
	link_take(&c->sleep);
	c->p->lib.call.context_free(c->saved);
	free(c);
}

/* Its PKRU and memory policy are those that the address space has: new, or the parent's. */
void context_set_mm(context *c, mm *mm)
{
	c->mm = mm;
	c->pkru = mm ? (uint32_t)mm_pkru(mm) : 0;
	if (mm)
		c->policy = mm->policy;
}

uint64_t context_cr3(context *c) { return (uint64_t)((char *)c->mm->pgd - c->p->machine->arena); }

void context_start(context *c, uint64_t rip, uint64_t rsp)
{
	processor *p = c->p;

	if (p->current != c)
		save_current(p);
	p->lib.call.context_restore(p->uc, p->pristine);
	p->current = c;
	c->in_ia32_call = false;
	write_reg(p, REG_EFLAGS, EFLAGS_START);
	write_reg(p, REG_FPCW, FPCW_START);
	write_reg(p, REG_FPTAG, FPTAG_START);
	write_reg(p, REG_MXCSR, MXCSR_START);
	write_reg(p, REG_RIP, rip);
	write_reg(p, REG_RSP, rsp);
}

void context_get(context *c, struct user_regs *out)
{
	processor *p = c->p;

	context_load(c);
	for (int i = 0; i < 16; i++)
		out->gpr[i] = read_reg(p, gprs[i]);
	out->rip = read_reg(p, REG_RIP);
	out->eflags = read_reg(p, REG_EFLAGS) | (c->resume ? EFLAGS_RF : 0);
	out->fs_base = read_reg(p, REG_FS_BASE);
	out->gs_base = read_reg(p, REG_GS_BASE);
}

int64_t context_set(context *c, const struct user_regs *regs)
{
	processor *p = c->p;

	if (!is_canonical(regs->fs_base) || !is_canonical(regs->gs_base))
		return -EINVAL;
	context_load(c);
	for (int i = 0; i < 16; i++)
		write_reg(p, gprs[i], regs->gpr[i]);
	write_reg(p, REG_RIP, regs->rip);
	uint64_t kept = read_reg(p, REG_EFLAGS) & ~EFLAGS_USER;
	write_reg(p, REG_EFLAGS, (regs->eflags & EFLAGS_USER) | kept);
	c->resume = regs->eflags & EFLAGS_RF;
	write_reg(p, REG_FS_BASE, regs->fs_base);
	write_reg(p, REG_GS_BASE, regs->gs_base);
	return 0;
}

/* ---- x87 and SSE, in the layout of fxsave64 ---- */

struct fxsave {
	uint16_t control, status;
	uint8_t tags, unused;
	uint16_t opcode;
	uint64_t rip, rdp;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[8][16];
	uint8_t xmm[16][16];
	uint8_t rest[96];
};
_Static_assert(sizeof(struct fxsave) == 512, "fxsave stores 512 bytes");

/* fxsave keeps one bit a register, by its physical place: 1, in use. */
static uint8_t short_tags(uint64_t tags)
{
	uint8_t used = 0;

	for (int i = 0; i < 8; i++)
		if ((tags >> 2 * i & 3) != 3)
			used |= (uint8_t)(1 << i);
	return used;
}

static uint64_t long_tags(uint8_t used)
{
	uint64_t tags = 0;

	for (int i = 0; i < 8; i++)
		if (!(used >> i & 1))
			tags |= 3ul << 2 * i;
	return tags;
}

static int physical(uint16_t status, int i) { return REG_FP0 + ((status >> 11) + i) % 8; }

void context_get_fpu(context *c, uint8_t *out)
{
	processor *p = c->p;
	struct fxsave f;

	context_load(c);
	memset(&f, 0, sizeof(f));
	f.control = (uint16_t)read_reg(p, REG_FPCW);
	f.status = (uint16_t)read_reg(p, REG_FPSW);
	f.tags = short_tags(read_reg(p, REG_FPTAG));
	f.mxcsr = (uint32_t)read_reg(p, REG_MXCSR);
	f.mxcsr_mask = MXCSR_MASK;
	for (int i = 0; i < 8; i++)
		p->lib.call.reg_read(p->uc, physical(f.status, i), f.st[i]);
	for (int i = 0; i < 16; i++)
		p->lib.call.reg_read(p->uc, REG_XMM0 + i, f.xmm[i]);
	memcpy(out, &f, sizeof(f));
}

void context_set_fpu(context *c, const uint8_t *in)
{
	processor *p = c->p;
	struct fxsave f;

	memcpy(&f, in, sizeof(f));
	context_load(c);
	write_reg(p, REG_FPCW, f.control);
	write_reg(p, REG_FPSW, f.status);
	write_reg(p, REG_FPTAG, long_tags(f.tags));
	write_reg(p, REG_MXCSR, f.mxcsr & MXCSR_MASK);
	for (int i = 0; i < 8; i++)
		p->lib.call.reg_write(p->uc, physical(f.status, i), f.st[i]);
	for (int i = 0; i < 16; i++)
		p->lib.call.reg_write(p->uc, REG_XMM0 + i, f.xmm[i]);
}

/*
 * The engine never forgets an exception that only a hook saw, and would make
 * a double fault of the next one.
 */
void mend_exception(processor *p)
{
	if (!p->exception_at)
		return;
	p->lib.call.context_save(p->uc, p->scratch);
	memset((char *)p->scratch + p->exception_at, 0xff, sizeof(int32_t));
	p->lib.call.context_restore(p->uc, p->scratch);
}
