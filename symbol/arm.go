package symbol

// armCall recognizes calls of A32 and Thumb. Bit 0 set is Thumb; clear can be
// either, since not every device keeps the bit. Encodings: Arm Architecture
// Reference Manual ARMv7-A/R, BL, BLX (immediate) and BLX (register).
func armCall(p piece, lr uint64) (behind, at bool) {
	a := lr &^ 1
	if lr&1 == 0 && a%4 == 0 {
		// Before BLX: mov lr, pc; bx or ldr pc.
		behind = a32Call(p.word(a-4)) || p.word(a-8) == 0xe1a0e00f
		at = a32Call(p.word(a))
	}
	behind = behind || thumbCall(p.word(a-4)) || thumbBLX(p.half(a-2))
	at = at || thumbCall(p.word(a)) || thumbBLX(p.half(a))
	return behind, at
}

func a32Call(w uint32) bool {
	if w>>28 == 0xf {
		return w&0xfe000000 == 0xfa000000 // BLX to Thumb
	}
	return w&0x0f000000 == 0x0b000000 || w&0x0ffffff0 == 0x012fff30 // BL, BLX register
}

// thumbCall recognizes BL and BLX; the first half is the low one.
func thumbCall(w uint32) bool {
	first, second := uint16(w), uint16(w>>16)
	return first&0xf800 == 0xf000 && (second&0xd000 == 0xd000 || second&0xd001 == 0xc000)
}

// thumbBLX recognizes BLX (register), also that of ARMv8-M to non-secure code.
func thumbBLX(h uint16) bool { return h&0xff87 == 0x4780 || h&0xff87 == 0x4784 }

// arm64Call knows BL, BLR, and BLRAA and its kin, which authenticate the
// address. Encodings: Arm Architecture Reference Manual for A-profile.
func arm64Call(p piece, lr uint64) (behind, at bool) {
	call := func(w uint32) bool {
		return w>>26 == 0x25 || w&0xfffffc1f == 0xd63f0000 || w&0xfefff800 == 0xd63f0800
	}
	if lr%4 != 0 {
		return false, false
	}
	return call(p.word(lr - 4)), call(p.word(lr))
}
