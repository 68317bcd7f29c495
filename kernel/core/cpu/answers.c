/*
 * answers.c - system calls that the core answers itself, without leaving the engine.
 *
 * Python says which (run_answers()), and for which stays in the engine (run()).  Four kinds:
 *
 *	a remembered answer   what Python has answered this task before; context_forget() when that
 *	                      may have changed.  Python owns the fact
 *	the time              the clock is a word of the core's
 *	a futex               whose sleepers are the core's: futex.c
 *	memory                mmap of no file, and munmap, where the core's function is all of the call
 *
 * An answer is as Python's would be: the call is counted and takes its time, and where anything is out of
 * the ordinary - memory that has to be brought or may not be written, a trap flag, a syscall instruction
 * with prefixes, whose length only the engine knows - the call goes to Python after all.
 */
#include "processor.h"

#define OPCODE_TWO_BYTES 0x0f
#define SYSCALL_BYTES 2
#define EFLAGS_TF 0x100
#define SECOND 1000000000ul
#define MICROSECOND 1000ul
#define MOST_CLOCKS 64

static bool is_remembered(uint64_t kind) { return kind && kind < ANSWER_TIMESPEC; }

void remember_answer(context *c, uint64_t nr, int64_t rax)
{
	uint64_t kind = nr < ANSWER_CALLS ? c->p->answers.by_call[nr] : ANSWER_NONE;

	if (!c->answers || !is_remembered(kind))
		return;
	c->remembered[kind] = (uint64_t)rax;
	c->known |= 1ul << kind;
}

void context_forget(context *c)
{
	if (c)
		c->known = 0;
}

int64_t context_remembers(context *c, uint64_t nr, uint64_t *rax)
{
	uint64_t kind = nr < ANSWER_CALLS ? c->p->answers.by_call[nr] : ANSWER_NONE;

	if (!is_remembered(kind) || !(c->known >> kind & 1))
		return false;
	*rax = c->remembered[kind];
	return true;
}

/* While blocks are held back the engine is to be left, and their count is not the slice's. */
static bool may_answer(processor *p, uint64_t kind)
{
	return kind && !p->holding && (!is_remembered(kind) || p->current->known >> kind & 1);
}

static bool is_plain(processor *p, const struct question *q)
{
	pte_t pte = pte_at(p->mm, q->rip);

	if (!pte_present(pte) || q->flags & EFLAGS_TF)
		return false;
	const uint8_t *code = pfn_data(p->machine, pte_pfn(pte));
	return code[q->rip & ~PAGE_MASK] == OPCODE_TWO_BYTES;
}

/* Can nbytes be stored at addr with no fault? */
static bool is_writable(processor *p, uint64_t addr, uint64_t nbytes)
{
	uint64_t end = addr + nbytes;

	return end >= addr && end <= p->mm->counters.task_size &&
	       mm_translate(p->mm, addr, ACCESS_WRITE) >= 0 &&
	       mm_translate(p->mm, end - 1, ACCESS_WRITE) >= 0;
}

/* Seconds, and the rest in units. */
static bool store_time(processor *p, uint64_t addr, uint64_t ns, uint64_t unit)
{
	uint64_t parts[2] = { ns / SECOND, ns % SECOND / unit };

	return user_write(p->mm, addr, parts, sizeof(parts)) == sizeof(parts);
}

static bool answer_timespec(processor *p, const struct question *q, uint64_t *rax)
{
	const struct run_answers *a = &p->answers;
	uint32_t clock = (uint32_t)q->args[0];
	uint64_t bit = clock < MOST_CLOCKS ? 1ul << clock : 0;

	if (!((a->realtime_clocks | a->uptime_clocks) & bit) || !is_writable(p, q->args[1], 16))
		return false;
	if (p->current->own_time && a->uptime_clocks & bit)
		return false;
	count_work(p, 1);
	*rax = 0;
	return store_time(p, q->args[1], *p->clock - (a->uptime_clocks & bit ? a->boot_ns : 0), 1);
}

static bool answer_timeval(processor *p, const struct question *q, uint64_t *rax)
{
	if (q->args[1] || !is_writable(p, q->args[0], 16))
		return false;
	count_work(p, 1);
	*rax = 0;
	return store_time(p, q->args[0], *p->clock, MICROSECOND);
}

static bool answer_seconds(processor *p, const struct question *q, uint64_t *rax)
{
	if (q->args[0])
		return false;
	count_work(p, 1);
	*rax = *p->clock / SECOND;
	return true;
}

static bool answer_remembered(processor *p, const struct question *q, uint64_t *rax)
{
	count_work(p, 1);
	*rax = p->current->remembered[q->kind];
	return true;
}

/*
 * Who watches memory sees the call's time, where an allocation is to fail it may do so but once, and Python
 * looks behind each call for files that end with their last mapping.
 */
static bool is_unwatched(processor *p)
{
	const machine *m = p->machine;

	return !is_told(m) && !p->debug && !m->fail_in && !m->task_fail_in && !m->nr_told_files;
}

/* What failed has changed nothing: Python makes the call again, and serves what it needs. */
static bool take_result(processor *p, int64_t result, uint64_t *rax)
{
	if (result < 0)
		return false;
	count_work(p, 1);
	*rax = (uint64_t)result;
	return true;
}

static bool answer_mmap(processor *p, const struct question *q, uint64_t *rax)
{
	const struct run_answers *a = &p->answers;
	uint64_t flags = q->args[3], offset = q->args[5];

	if ((flags & a->mmap_flags) != a->mmap_alone || offset & ~PAGE_MASK ||
	    p->mm->counters.def_flags || !is_unwatched(p))
		return false;
	int64_t at = mm_mmap(p->mm, q->args[0], q->args[1], q->args[2], flags, NULL,
			     offset >> PAGE_SHIFT);
	return take_result(p, at, rax);
}

static bool answer_munmap(processor *p, const struct question *q, uint64_t *rax)
{
	return is_unwatched(p) && take_result(p, mm_munmap(p->mm, q->args[0], q->args[1]), rax);
}

static bool answer(processor *p, const struct question *q, uint64_t *rax)
{
	switch (q->kind) {
	case ANSWER_TIMESPEC:
		return answer_timespec(p, q, rax);
	case ANSWER_TIMEVAL:
		return answer_timeval(p, q, rax);
	case ANSWER_SECONDS:
		return answer_seconds(p, q, rax);
	case ANSWER_FUTEX:
		return answer_futex(p, q, rax);
	case ANSWER_MMAP:
		return answer_mmap(p, q, rax);
	case ANSWER_MUNMAP:
		return answer_munmap(p, q, rax);
	default:
		return answer_remembered(p, q, rax);
	}
}

/* How many registers it takes to answer: rip, flags, and arguments. */
static int registers_of(uint64_t kind)
{
	bool has_six = kind == ANSWER_FUTEX || kind == ANSWER_MMAP;

	return is_remembered(kind) ? 2 : has_six ? 8 : 4;
}

bool answer_call(processor *p)
{
	/* clang-format off */
	static const int regs[] = { REG_RIP, REG_EFLAGS, REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8,
				    REG_R9 };
	/* clang-format on */
	uint64_t nr = read_reg(p, REG_RAX);
	struct question q = { .nr = nr,
			      .kind = nr < ANSWER_CALLS ? p->answers.by_call[nr] : ANSWER_NONE };
	void *values[] = { &q.rip,     &q.flags,   &q.args[0], &q.args[1],
			   &q.args[2], &q.args[3], &q.args[4], &q.args[5] };
	uint64_t rax;

	if (!may_answer(p, q.kind))
		return false;
	p->lib.call.reg_read_batch(p->uc, regs, values, registers_of(q.kind));
	if (!is_plain(p, &q) || !answer(p, &q, &rax))
		return false;
	if (p->stopped)
		return true; /* it sleeps: the answer comes when it is woken */
	p->counters.calls++;
	p->counters.vsyscalls += (q.rip & PAGE_MASK) == VSYSCALL_ADDR;
	return_from_call(p, rax, q.rip + SYSCALL_BYTES, q.flags);
	return true;
}

struct run_answers *run_answers(processor *p) { return &p->answers; }
