/*
 * binding.h - what cffi's wrappers of the core's functions are made of, in place of its own.
 *
 * Owns the price of a call from Python.  A call of the core is short, calls no Python and works on
 * a machine that is its caller's alone (kernel/visits.py), so the interpreter's lock stays where it
 * is; giving it up and taking it back would cost as much as a small call does.  Results say what
 * went wrong, so the host's errno is not kept.
 */
#ifndef PKERN_BINDING_H
#define PKERN_BINDING_H

#undef Py_BEGIN_ALLOW_THREADS
#undef Py_END_ALLOW_THREADS
#define Py_BEGIN_ALLOW_THREADS {
#define Py_END_ALLOW_THREADS }

#undef _cffi_restore_errno
#undef _cffi_save_errno
#define _cffi_restore_errno() (void)0
#define _cffi_save_errno() (void)0

/* What is no int, and what does not fit, is for cffi to convert or to refuse. */
static inline uint64_t register_of(PyObject *value)
{
	unsigned long long (*convert)(PyObject *) = _cffi_to_c_u64;
	return PyLong_CheckExact(value) ? PyLong_AsUnsignedLongLong(value) : convert(value);
}
#undef _cffi_to_c_u64
#define _cffi_to_c_u64(value) register_of(value)

#endif
