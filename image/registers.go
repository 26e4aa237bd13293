package image

import (
	"debug/elf"
	"strings"
)

// Names of the registers in elf_gregset_t, as debuggers call them, in the order
// in which Linux's ptrace.h of each machine has them.
var (
	armNames     = strings.Fields("r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 sp lr pc cpsr orig_r0")
	aarch64Names = strings.Fields("x0 x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 x13 x14 x15 x16 x17 x18 x19 x20 x21 x22 x23 x24 x25 x26 x27 x28 x29 x30 sp pc cpsr")
	riscvNames   = strings.Fields("pc ra sp gp tp t0 t1 t2 fp s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6")
	i386Names    = strings.Fields("ebx ecx edx esi edi ebp eax ds es fs gs orig_eax eip cs eflags esp ss")
	amd64Names   = strings.Fields("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs")
)

// RegisterName returns what Thread.Regs[i] of a machine is called, as debuggers
// call it: "r4" on ARM, "x19" on AArch64, "rbx" on x86-64, "s1" on RISC-V. It
// returns "" where there is no such register, or the machine's are not known.
func RegisterName(machine elf.Machine, i int) string {
	for key, set := range registerSets {
		if key.machine == machine && i >= 0 && i < len(set.names) {
			return set.names[i]
		}
	}
	return ""
}
