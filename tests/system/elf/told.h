/* What a handler is told of an instruction that faults; it goes back to where `back` was set. */
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

static sigjmp_buf back;
static struct {
	int signo, code, addressed; /* addressed: si_addr is the instruction's */
	long error, trap, cr2, ip;
} told;

static inline void tell(int signo, siginfo_t *info, void *context)
{
	const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	told.signo = signo;
	told.code = info->si_code;
	told.addressed = info->si_addr == (void *)regs[REG_RIP];
	told.error = regs[REG_ERR];
	told.trap = regs[REG_TRAPNO];
	told.cr2 = regs[REG_CR2];
	told.ip = regs[REG_RIP];
	siglongjmp(back, 1);
}
