package symbol

// x86Call recognizes CALL: E8 with a 32-bit displacement, and FF /2 and /3 with
// an operand in a register or memory. Instructions cannot be read backwards, so
// in front of lr every length is tried, and now and then bytes that are no call
// look like one. Encodings: Intel 64 and IA-32 Architectures Software
// Developer's Manual, volume 2, CALL and table 2-2.
func x86Call(p piece, lr uint64) (behind, at bool) {
	for n := 2; n <= 7 && !behind; n++ {
		behind = x86CallLength(p.x86(lr-uint64(n), n)) == n
	}
	b := p.x86(lr, 8)
	for range 2 { // prefixes: REX, and 3E of notrack
		if len(b) > 0 && (b[0]&0xf0 == 0x40 && p.wide || b[0] == 0x3e) {
			b = b[1:]
		}
	}
	return behind, x86CallLength(b) > 0
}

// x86 returns up to n bytes of code at addr.
func (p piece) x86(addr uint64, n int) string {
	for ; n > 0; n-- {
		if b := p.bytes(addr, n); b != "" {
			return b
		}
	}
	return ""
}

// x86CallLength returns the length of the call at the start of b, 0 if there is
// none.
func x86CallLength(b string) int {
	if len(b) >= 5 && b[0] == 0xe8 {
		return 5
	}
	if len(b) < 2 || b[0] != 0xff || b[1]>>3&7 != 2 && b[1]>>3&7 != 3 {
		return 0
	}
	mod, rm := b[1]>>6, b[1]&7
	n := 2
	switch {
	case mod == 3:
		if b[1]>>3&7 == 3 {
			return 0 // far calls take their operand from memory
		}
		return n
	case rm == 4:
		if len(b) < 3 {
			return 0
		}
		n++
		if mod == 0 && b[2]&7 == 5 {
			n += 4
		}
	case mod == 0 && rm == 5:
		n += 4
	}
	switch mod {
	case 1:
		n++
	case 2:
		n += 4
	}
	if n > len(b) {
		return 0
	}
	return n
}
