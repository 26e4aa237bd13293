//go:build !noframepointer

#include "textflag.h"

// What both routines walk along. They have no frame of their own, so BP is
// still the caller's:
//
//	      higher addresses
//	    ┌────────────────────┐  g.stack.hi
//	    │ ...                │
//	    │ return address 2   │
//	┌──►│ saved BP           │
//	│   │ ...                │
//	│   │ return address 1   │  8(BP)
//	└───┼─saved BP           │◄─ BP
//	    │ caller's frame     │
//	    │ return address 0   │◄─ SP
//	    └────────────────────┘
//
// A frame pointer is followed only if it lies above the one before and not
// above g.stack.hi-16, so every load is from the goroutine's own stack whatever
// C code or broken assembly left in BP. Assembly is not preempted, so the stack
// does not move meanwhile.

// ENTER: CX = n, DX = skip, BX = return address 0, AX = frame pointer,
// R9 = what it must exceed, R8 = what it must not exceed. The stack's bounds
// are the first two words of g.
#define ENTER \
	MOVQ	dst+0(FP), DI \
	MOVQ	n+8(FP), CX \
	MOVQ	skip+16(FP), DX \
	MOVQ	TLS, R8 \
	MOVQ	0(R8)(TLS*1), R8 \
	MOVQ	8(R8), R8 \
	SUBQ	$16, R8 \
	MOVQ	SP, R9 \
	MOVQ	BP, AX \
	MOVQ	0(SP), BX

// NEXT: BX = the return address of the next level; jumps to end if there is none.
#define NEXT(end) \
	CMPQ	AX, R9 \
	JLS	end \
	CMPQ	AX, R8 \
	JHI	end \
	MOVQ	8(AX), BX \
	MOVQ	AX, R9 \
	MOVQ	(AX), AX

// func record(dst *uint32, n, skip int)
//
// Distances are taken from 1 GiB below the anchor, so that a single comparison
// tells whether they are within reach. dst is addressed from its end, by -CX
// slots, so that CX serves as the loop counter too.
TEXT ·record(SB), NOSPLIT|NOFRAME, $0-24
	ENTER
	MOVQ	·anchorPC(SB), R10
	SUBQ	$(1<<30), R10
	MOVL	$(1<<31), R11
	TESTQ	CX, CX
	JLE	done
	LEAQ	(DI)(CX*4), DI
	NEGQ	CX
	CMPQ	BX, ·outOfLine(SB)
	JEQ	leave
	TESTQ	DX, DX
	JLE	store
skip:
	NEXT(end)
	DECQ	DX
	JNZ	skip
	JMP	store
next:
	NEXT(end)
store:
	SUBQ	R10, BX
	CMPQ	BX, R11
	JCC	far
	SUBL	$(1<<30), BX
put:
	MOVL	BX, (DI)(CX*4)
	INCQ	CX
	JNZ	next
	RET

leave:	// Record's own frame
	NEXT(end)
	TESTQ	DX, DX
	JLE	store
	JMP	skip

end:	// the stack is not that deep
	MOVL	$0, (DI)(CX*4)
	INCQ	CX
	JNZ	end
done:
	RET

far:	// slotOf: BX = a place in farTable for the address, or lost
	ADDQ	R10, BX
	MOVQ	$0x9E3779B97F4A7C15, DX
	IMULQ	BX, DX
	SHRQ	$(64-12), DX
	MOVL	$64, R13
	LEAQ	·farTable(SB), R12
	MOVQ	AX, SI		// CMPXCHG needs AX
probe:
	MOVQ	(R12)(DX*8), AX
	CMPQ	AX, BX
	JEQ	found
	TESTQ	AX, AX
	JNZ	taken
	LOCK
	CMPXCHGQ	BX, (R12)(DX*8)
	JEQ	found
	CMPQ	AX, BX
	JEQ	found
taken:
	INCQ	DX
	ANDQ	$((1<<12)-1), DX
	DECQ	R13
	JNZ	probe
	MOVL	$((1<<30)-1), DX
found:
	MOVL	$(2<<30), BX
	ORL	DX, BX
	MOVQ	SI, AX
	JMP	put

// func walk(dst *uintptr, n, skip int) int
TEXT ·walk(SB), NOSPLIT|NOFRAME, $0-32
	ENTER
	XORL	R10, R10	// levels stored
	TESTQ	CX, CX
	JLE	done
	TESTQ	DX, DX
	JLE	store
skip:
	NEXT(done)
	DECQ	DX
	JNZ	skip
store:
	MOVQ	BX, (DI)(R10*8)
	INCQ	R10
	CMPQ	R10, CX
	JGE	done
	NEXT(done)
	JMP	store
done:
	MOVQ	R10, ret+24(FP)
	RET
