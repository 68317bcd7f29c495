// Loaded before the C library natively. User Mode Linux knows an XSAVE area of one page at most and stops
// on processors with a larger one (AMX): PTRACE_SETREGSET is EFAULT for less than the whole. This fills
// in the rest from the tracee.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

typedef long requester(enum __ptrace_request, pid_t, void *, void *);

long ptrace(enum __ptrace_request request, ...) {
	static _Alignas(64) char area[1 << 16];
	va_list given;
	va_start(given, request);
	pid_t pid = va_arg(given, pid_t);
	void *address = va_arg(given, void *), *data = va_arg(given, void *);
	va_end(given);
	requester *next = (requester *)dlsym(RTLD_NEXT, "ptrace");
	if (request != PTRACE_SETREGSET || (long)address != NT_X86_XSTATE)
		return next(request, pid, address, data);
	struct iovec known = *(struct iovec *)data, whole = {area, sizeof area};
	if (next(PTRACE_GETREGSET, pid, address, &whole) < 0)
		return -1;
	memcpy(area, known.iov_base, known.iov_len < whole.iov_len ? known.iov_len : whole.iov_len);
	return next(request, pid, address, &whole);
}
