/*
 * ptrace() for linux.uml on processors whose register state is larger than UML 6.1 has room for.
 *
 * UML switches the vector registers of its processes with PTRACE_SETREGSET in the XSAVE format, from a
 * buffer of 2696 bytes: x87 to PKRU. Where there are AMX tiles too, Linux takes only the whole 11008
 * bytes and refuses less with EFAULT (xstateregs_set in arch/x86/kernel/fpu/regset.c), and UML panics
 * at its first program: "ptrace set fp regs failed, errno = 14". So the rest is added here; it is
 * unused, since no process in UML can ask for tiles.
 */

#define SYS_PTRACE 101
#define PTRACE_PEEKTEXT 1
#define PTRACE_PEEKUSER 3
#define PTRACE_GETREGSET 0x4204
#define PTRACE_SETREGSET 0x4205
#define NT_X86_XSTATE 0x202

extern int *__errno_location(void);

struct area {
	unsigned char *start;
	unsigned long length;
};

/* UML switches processes in one thread. */
static unsigned char buffer[65536] __attribute__((aligned(64)));
static unsigned long whole; /* bytes of the host's XSAVE format; 0: not known yet */

static long call(long request, long pid, void *address, void *data)
{
	register void *fourth __asm__("r10") = data;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(SYS_PTRACE), "D"(request), "S"(pid), "d"(address), "r"(fourth)
			 : "rcx", "r11", "memory");
	return result;
}

static void copy(unsigned char *to, const unsigned char *from, unsigned long length)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
}

static long get(long pid, struct area *wanted)
{
	struct area all = { buffer, sizeof(buffer) };
	long result = call(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &all);

	if (result < 0)
		return result;
	whole = all.length;
	if (wanted->length > whole)
		wanted->length = whole;
	copy(wanted->start, buffer, wanted->length);
	return 0;
}

static long set(long pid, struct area *given)
{
	struct area all = { buffer, 0 };
	struct area nothing = { buffer, 0 };
	long result;

	if (!whole && (result = get(pid, &nothing)) < 0)
		return result;
	copy(buffer, given->start, given->length);
	all.length = whole;
	return call(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &all);
}

long ptrace(long request, long pid, void *address, void *data)
{
	long peeked, result;

	request = (int)request;
	pid = (int)pid;
	if (request == PTRACE_GETREGSET && address == (void *)NT_X86_XSTATE)
		result = get(pid, data);
	else if (request == PTRACE_SETREGSET && address == (void *)NT_X86_XSTATE)
		result = set(pid, data);
	else if (request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSER) {
		result = call(request, pid, address, &peeked);
		if (result >= 0) {
			*__errno_location() = 0;
			return peeked;
		}
	} else
		result = call(request, pid, address, data);
	if (result < 0) {
		*__errno_location() = -result;
		return -1;
	}
	return result;
}
