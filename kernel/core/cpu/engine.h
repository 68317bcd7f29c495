/*
 * engine.h - the emulated processor's library, as cpu.c and run.c use it.
 *
 * Read by the core's own files only.  Nothing is linked: the library is opened
 * by its path, its functions are kept in a table.  The numbers are those of
 * Unicorn 2.1.4's public headers.
 */
#ifndef PKERN_ENGINE_H
#define PKERN_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void engine;
typedef void engine_context;
typedef size_t engine_hook;
typedef void (*any_hook)(void);

enum { ARCH_X86 = 4, MODE_64 = 8 };
/* clang-format off */
enum engine_reg {
	REG_CS = 11, REG_DS = 17, REG_EFLAGS = 25, REG_ES = 28, REG_FPSW = 31, REG_FS = 32,
	REG_GS = 33, REG_RAX = 35, REG_RBP = 36, REG_RBX = 37, REG_RCX = 38, REG_RDI = 39,
	REG_RDX = 40, REG_RIP = 41, REG_RSI = 43, REG_RSP = 44, REG_SS = 49, REG_CR0 = 50,
	REG_CR3 = 53, REG_CR4 = 54, REG_FP0 = 82, REG_R8 = 106, REG_R9 = 107, REG_R10 = 108,
	REG_R11 = 109, REG_R12 = 110, REG_R13 = 111, REG_R14 = 112, REG_R15 = 113,
	REG_XMM0 = 122, REG_IDTR = 242, REG_GDTR = 243, REG_TR = 245, REG_FPCW = 246, REG_FPTAG = 247, REG_MSR = 248,
	REG_MXCSR = 249, REG_FS_BASE = 250, REG_GS_BASE = 251
};
enum engine_insn {
	INSN_CPUID = 113, INSN_IN = 218, INSN_OUT = 500, INSN_RDTSC = 608, INSN_RDTSCP = 609,
	INSN_SYSCALL = 699, INSN_SYSENTER = 700
};
enum engine_hook_type {
	HOOK_INTR = 1 << 0,
	HOOK_INSN = 1 << 1,
	HOOK_CODE = 1 << 2,
	HOOK_BLOCK = 1 << 3,
	HOOK_UNMAPPED = 7 << 4,
	HOOK_ACCESS = 3 << 10,
	HOOK_INSN_INVALID = 1 << 14,
	HOOK_EDGE = 1 << 15,
	HOOK_TLB_FILL = 1 << 17
};
/* clang-format on */
enum { MEM_READ = 16, MEM_WRITE = 17, MEM_FETCH = 18 };
enum { ALLOW_READ = 1, ALLOW_WRITE = 2, ALLOW_EXEC = 4, ALLOW_ALL = 7 };
enum { ENGINE_OK = 0, ENGINE_INSN_INVALID = 10, ENGINE_EXCEPTION = 21 };
enum { VIRTUAL_TLB = 1 };

/* uc_ctl's request: number, count of arguments, direction "write". */
#define CONTROL(number, nr_args) ((number) | (nr_args) << 26 | 1 << 30)
#define CONTROL_USE_EXITS CONTROL(4, 1)
#define CONTROL_CPU_MODEL CONTROL(7, 1)
#define CONTROL_TB_REMOVE CONTROL(9, 2)
#define CONTROL_TB_FLUSH CONTROL(10, 0)
#define CONTROL_TLB_FLUSH CONTROL(11, 0)
#define CONTROL_TLB_TYPE CONTROL(12, 1)
#define CONTROL_TCG_BUFFER CONTROL(13, 1)
#define ENGINE_VERSION 0x02010400u

struct engine_tlb_entry {
	uint64_t paddr;
	int perms;
};
struct engine_block {
	uint64_t pc;
	uint16_t nr_insns, size; /* size in bytes */
};
struct engine_msr {
	uint32_t id;
	uint64_t value;
};
struct engine_mmr {
	uint16_t selector;
	uint64_t base;
	uint32_t limit;
	uint32_t flags;
};

struct engine_calls {
	unsigned (*version)(unsigned *major, unsigned *minor);
	int (*open)(int arch, int mode, engine **out);
	int (*close)(engine *uc);
	int (*control)(engine *uc, int request, ...);
	int (*reg_read)(engine *uc, int reg, void *value);
	int (*reg_write)(engine *uc, int reg, const void *value);
	int (*reg_read_batch)(engine *uc, const int *regs, void **values, int nr);
	int (*reg_write_batch)(engine *uc, const int *regs, void *const *values, int nr);
	int (*mem_map_ptr)(engine *uc, uint64_t address, size_t size, uint32_t perms, void *ptr);
	int (*hook_add)(engine *uc, engine_hook *hook, int type, void *callback, void *user_data,
			uint64_t begin, uint64_t end, ...);
	int (*hook_del)(engine *uc, engine_hook hook);
	int (*start)(engine *uc, uint64_t begin, uint64_t until, uint64_t timeout, size_t count);
	int (*stop)(engine *uc);
	int (*context_alloc)(engine *uc, engine_context **out);
	int (*context_save)(engine *uc, engine_context *context);
	int (*context_restore)(engine *uc, engine_context *context);
	size_t (*context_size)(engine *uc);
	int (*context_free)(engine_context *context);
	const char *(*text)(int error);
};

struct engine_library {
	void *library;
	struct engine_calls call;
	char error[256]; /* why it cannot be used */
};

/* 0, or -errno with the reason in error.  Close it in either case. */
int64_t engine_load(struct engine_library *lib, const char *path);
void engine_unload(struct engine_library *lib);
int64_t engine_failed(struct engine_library *lib, int64_t error, const char *what,
		      const char *detail);

/*
 * A 64-bit processor whose TLB misses come to a hook: the arena lies at its
 * physical address 0 and no address means "until here".  code_bytes: room for
 * translated code.
 */
int64_t engine_open(struct engine_library *lib, void *arena, size_t arena_bytes, size_t code_bytes,
		    engine **out);

struct engine_hook_spec {
	int type;
	int insn; /* for HOOK_INSN */
	any_hook callback;
};
/* Of physical addresses, first to last. */
int engine_add_hook(struct engine_library *lib, engine *uc, const struct engine_hook_spec *spec,
		    uint64_t first, uint64_t last, void *arg);
/* Of all addresses.  The engine's first error, 0 if there was none. */
int engine_add_hooks(struct engine_library *lib, engine *uc, const struct engine_hook_spec *specs,
		     size_t nr, void *arg);

#endif
