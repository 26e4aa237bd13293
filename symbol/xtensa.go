package symbol

// xtensaCall recognizes CALL0, CALL4, CALL8, CALL12 and CALLX0 to CALLX12, all
// of three bytes, in little-endian cores. Encodings: Xtensa Instruction Set
// Architecture Reference Manual.
func xtensaCall(p piece, lr uint64) (behind, at bool) {
	return xtensaInstruction(p.bytes(lr-3, 3)), xtensaInstruction(p.bytes(lr, 3))
}

func xtensaInstruction(b string) bool {
	if b == "" {
		return false
	}
	w := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
	// CALLn has 0101 in its low bits. CALLXn has all fields 0 but m, which is
	// 11, n, which is the window, and s, the register.
	return w&0x0f == 0x05 || w&0xfff0cf == 0x0000c0
}
