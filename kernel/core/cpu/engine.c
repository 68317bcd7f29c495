/*
 * engine.c - opens the emulated processor's library and sets an engine up.
 *
 * Owns the table of its functions.  The version is checked: the layout of its
 * hooks and the meaning of its errors are those of one release.
 */
#define _GNU_SOURCE
#include "engine.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	size_t place;
} call_names[] = {
	{ "uc_version", offsetof(struct engine_calls, version) },
	{ "uc_open", offsetof(struct engine_calls, open) },
	{ "uc_close", offsetof(struct engine_calls, close) },
	{ "uc_ctl", offsetof(struct engine_calls, control) },
	{ "uc_reg_read", offsetof(struct engine_calls, reg_read) },
	{ "uc_reg_write", offsetof(struct engine_calls, reg_write) },
	{ "uc_reg_read_batch", offsetof(struct engine_calls, reg_read_batch) },
	{ "uc_reg_write_batch", offsetof(struct engine_calls, reg_write_batch) },
	{ "uc_mem_map_ptr", offsetof(struct engine_calls, mem_map_ptr) },
	{ "uc_hook_add", offsetof(struct engine_calls, hook_add) },
	{ "uc_hook_del", offsetof(struct engine_calls, hook_del) },
	{ "uc_emu_start", offsetof(struct engine_calls, start) },
	{ "uc_emu_stop", offsetof(struct engine_calls, stop) },
	{ "uc_context_alloc", offsetof(struct engine_calls, context_alloc) },
	{ "uc_context_save", offsetof(struct engine_calls, context_save) },
	{ "uc_context_restore", offsetof(struct engine_calls, context_restore) },
	{ "uc_context_size", offsetof(struct engine_calls, context_size) },
	{ "uc_context_free", offsetof(struct engine_calls, context_free) },
	{ "uc_strerror", offsetof(struct engine_calls, text) },
};

int64_t engine_failed(struct engine_library *lib, int64_t error, const char *what,
		      const char *detail)
{
	snprintf(lib->error, sizeof(lib->error), "%s: %s", what, detail ? detail : "unknown");
	return error;
}

#ifndef RTLD_DEEPBIND /* the C library has one order for all */
#define RTLD_DEEPBIND 0
#endif

/*
 * Its 15,000 symbols are looked for in the engine itself before they are in all that the process has
 * loaded: a third less to place it.  Not where malloc is another than the C library's, which the engine
 * would have then beside the process's own: sanitisers end a process that asks for it.
 */
static int own_symbols_first(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

	if (!libc)
		return 0;
	int flag = dlsym(libc, "malloc") == (void *)malloc ? RTLD_DEEPBIND : 0;
	dlclose(libc);
	return flag;
}

int64_t engine_load(struct engine_library *lib, const char *path)
{
	/*
	 * Lazily: of its 7,800 functions to be found a program needs a few hundred.  It stays when
	 * the last machine has closed it: to place it anew is two thirds of what the next one's
	 * start takes.
	 */
	lib->library = dlopen(path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE | own_symbols_first());
	if (!lib->library)
		return engine_failed(lib, -ENOENT, "cannot open the engine", dlerror());
	for (size_t i = 0; i < sizeof(call_names) / sizeof(*call_names); i++) {
		void *symbol = dlsym(lib->library, call_names[i].name);

		if (!symbol)
			return engine_failed(lib, -ENOSYS, "the engine lacks", call_names[i].name);
		memcpy((char *)&lib->call + call_names[i].place, &symbol, sizeof(symbol));
	}
	unsigned version = lib->call.version(NULL, NULL);
	if ((version & ~0xffu) != (ENGINE_VERSION & ~0xffu))
		return engine_failed(lib, -ENOTSUP, "the engine is not", "Unicorn 2.1.4");
	return 0;
}

void engine_unload(struct engine_library *lib)
{
	if (lib->library)
		dlclose(lib->library);
	lib->library = NULL;
}

static int set_up(struct engine_library *lib, engine *uc, void *arena, size_t arena_bytes,
		  size_t code_bytes)
{
	struct engine_calls *call = &lib->call;
	int error = call->control(uc, CONTROL_TCG_BUFFER, (uint32_t)code_bytes);

	if (!error)
		error = call->control(uc, CONTROL_TLB_TYPE, VIRTUAL_TLB);
	if (!error) /* so that no address is taken for "until" */
		error = call->control(uc, CONTROL_USE_EXITS, 1);
	if (!error)
		error = call->mem_map_ptr(uc, 0, arena_bytes, ALLOW_ALL, arena);
	return error;
}

int64_t engine_open(struct engine_library *lib, void *arena, size_t arena_bytes, size_t code_bytes,
		    engine **out)
{
	int error = lib->call.open(ARCH_X86, MODE_64, out);

	if (error) {
		*out = NULL;
		return engine_failed(lib, -ENOMEM, "cannot create an engine",
				     lib->call.text(error));
	}
	error = set_up(lib, *out, arena, arena_bytes, code_bytes);
	if (error)
		return engine_failed(lib, -EIO, "cannot set the engine up", lib->call.text(error));
	return 0;
}

int engine_add_hook(struct engine_library *lib, engine *uc, const struct engine_hook_spec *spec,
		    uint64_t first, uint64_t last, void *arg)
{
	engine_hook unused;

	return lib->call.hook_add(uc, &unused, spec->type, (void *)spec->callback, arg, first, last,
				  spec->insn);
}

int engine_add_hooks(struct engine_library *lib, engine *uc, const struct engine_hook_spec *specs,
		     size_t nr, void *arg)
{
	int error = 0;

	for (size_t i = 0; i < nr && !error; i++)
		error = engine_add_hook(lib, uc, &specs[i], 1, 0, arg);
	return error;
}
