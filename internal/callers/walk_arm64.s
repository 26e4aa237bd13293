//go:build !noframepointer

#include "textflag.h"

// What both routines walk along. They have no frame of their own, so R29 and
// LR are still the caller's:
//
//	      higher addresses
//	    ┌────────────────────┐  g.stack.hi
//	    │ ...                │
//	    │ return address 2   │
//	┌──►│ saved R29          │
//	│   │ ...                │
//	│   │ caller's frame     │
//	│   │ return address 1   │◄─ RSP
//	└───┼─saved R29          │◄─ R29 = RSP-8
//	    └────────────────────┘
//
// Return address 0 is in LR. A frame pointer is followed only if it lies above
// the one before and not above g.stack.hi-16, so every load is from the
// goroutine's own stack whatever C code or broken assembly left in R29.
// Assembly is not preempted, so the stack does not move meanwhile.

// ENTER: R0 = dst, R1 = n, R2 = skip, R3 = return address 0, R4 = frame
// pointer, R5 = what it must exceed, R6 = what it must not exceed. The stack's
// bounds are the first two words of g.
#define ENTER \
	MOVD	dst+0(FP), R0 \
	MOVD	n+8(FP), R1 \
	MOVD	skip+16(FP), R2 \
	MOVD	R30, R3 \
	MOVD	R29, R4 \
	MOVD	RSP, R5 \
	SUB	$16, R5 \
	MOVD	8(g), R6 \
	SUB	$16, R6

// NEXT: R3 = the return address of the next level; jumps to end if there is none.
#define NEXT(end) \
	CMP	R5, R4 \
	BLS	end \
	CMP	R6, R4 \
	BHI	end \
	MOVD	R4, R5 \
	LDP	(R4), (R4, R3)

// func record(dst *uint32, n, skip int)
TEXT ·record(SB), NOSPLIT|NOFRAME, $0-24
	ENTER
	MOVD	·anchorPC(SB), R7
	MOVD	·outOfLine(SB), R8
	MOVD	$(1<<30), R9
	CMP	$0, R1
	BLE	done
	CMP	R8, R3
	BEQ	leave
	CMP	$0, R2
	BLE	store
skip:
	NEXT(end)
	SUBS	$1, R2
	BNE	skip
	B	store
next:
	NEXT(end)
store:
	SUB	R7, R3
	ADD	R9, R3, R10
	LSR	$31, R10
	CBNZ	R10, far
put:
	MOVW.P	R3, 4(R0)
	SUBS	$1, R1
	BNE	next
	RET

leave:	// Record's own frame
	NEXT(end)
	CMP	$0, R2
	BLE	store
	B	skip

end:	// the stack is not that deep
	MOVW.P	ZR, 4(R0)
	SUBS	$1, R1
	BNE	end
done:
	RET

far:	// slotOf: R3 = a place in farTable for the address, or lost
	ADD	R7, R3
	MOVD	$0x9E3779B97F4A7C15, R10
	MUL	R3, R10
	LSR	$(64-12), R10
	MOVD	$64, R11
	MOVD	$·farTable(SB), R12
probe:
	ADD	R10<<3, R12, R13
again:
	LDAXR	(R13), R14
	CMP	R3, R14
	BEQ	found
	CBNZ	R14, taken
	STLXR	R3, (R13), R15
	CBNZ	R15, again
found:
	ORR	$(2<<30), R10, R3
	B	put
taken:
	ADD	$1, R10
	AND	$((1<<12)-1), R10
	SUBS	$1, R11
	BNE	probe
	MOVD	$((1<<30)-1), R10
	B	found

// func walk(dst *uintptr, n, skip int) int
TEXT ·walk(SB), NOSPLIT|NOFRAME, $0-32
	ENTER
	MOVD	$0, R7		// levels stored
	CMP	$0, R1
	BLE	done
	CMP	$0, R2
	BLE	store
skip:
	NEXT(done)
	SUBS	$1, R2
	BNE	skip
store:
	MOVD.P	R3, 8(R0)
	ADD	$1, R7
	CMP	R1, R7
	BGE	done
	NEXT(done)
	B	store
done:
	MOVD	R7, ret+24(FP)
	RET
