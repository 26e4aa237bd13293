package symbol

// riscvCall recognizes JAL and JALR that keep the return address in one of the
// two registers the ABI has for it, x1 (ra) and x5 (t0), and their compressed
// forms. Encodings: RISC-V Unprivileged ISA, chapters RV32I, C and Zcmt.
func riscvCall(p piece, lr uint64) (behind, at bool) {
	if lr%2 != 0 {
		return false, false
	}
	behind = riscvJAL(p.word(lr-4)) || p.riscvCompressed(p.half(lr-2))
	at = riscvJAL(p.word(lr)) || p.riscvCompressed(p.half(lr))
	return behind, at
}

func riscvJAL(w uint32) bool {
	link := w >> 7 & 31
	return (link == 1 || link == 5) && (w&0x7f == 0x6f || w&0x707f == 0x67)
}

func (p piece) riscvCompressed(h uint16) bool {
	switch {
	case h&0xf07f == 0x9002 && h&0x0f80 != 0: // C.JALR
		return true
	case h&0xe003 == 0x2001: // C.JAL, in RV64 C.ADDIW
		return !p.wide
	case h&0xfc03 == 0xa002: // CM.JALT; below 32 it is CM.JT, a jump
		return h>>2&0xff >= 32
	}
	return false
}
