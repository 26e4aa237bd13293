package symbol

import "strings"

// maxString bounds one string of a file in bytes, names and paths alike.
const maxString = 16 << 10

// cursor reads a section front to back. Sections are strings so that the names
// in them need no copies and nobody can write to them. Behind the end, and
// after anything that cannot be, it yields zeros and is bad.
type cursor struct {
	data string
	pos  int
	big  bool // big-endian
	bad  bool
}

func (c *cursor) left() int { return len(c.data) - c.pos }

func (c *cursor) fail() {
	c.bad = true
	c.pos = len(c.data)
}

func (c *cursor) skip(n uint64) {
	if n > uint64(c.left()) {
		c.fail()
		return
	}
	c.pos += int(n)
}

// uint reads n bytes, at most 8, as one number.
func (c *cursor) uint(n int) uint64 {
	if n > c.left() {
		c.fail()
		return 0
	}
	b := c.data[c.pos : c.pos+n]
	c.pos += n
	var v uint64
	if c.big {
		for i := range len(b) {
			v = v<<8 | uint64(b[i])
		}
		return v
	}
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

func (c *cursor) u8() uint8 {
	if c.pos >= len(c.data) {
		c.fail()
		return 0
	}
	b := c.data[c.pos]
	c.pos++
	return b
}

func (c *cursor) u16() uint16 { return uint16(c.uint(2)) }

func (c *cursor) u32() uint32 {
	if c.big || c.left() < 4 {
		return uint32(c.uint(4))
	}
	b := c.data[c.pos : c.pos+4]
	c.pos += 4
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func (c *cursor) u64() uint64 { return c.uint(8) }

// offset reads an offset into a section: 8 bytes in 64-bit DWARF, else 4.
func (c *cursor) offset(wide bool) uint64 {
	if wide {
		return c.u64()
	}
	return uint64(c.u32())
}

func (c *cursor) uleb() uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		if c.pos >= len(c.data) || shift > 63 {
			c.fail()
			return 0
		}
		b := c.data[c.pos]
		c.pos++
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
}

func (c *cursor) sleb() int64 {
	var v int64
	for shift := uint(0); ; shift += 7 {
		if c.pos >= len(c.data) || shift > 63 {
			c.fail()
			return 0
		}
		b := c.data[c.pos]
		c.pos++
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if b&0x40 != 0 && shift+7 < 64 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}

// cstring reads a string up to its NUL.
func (c *cursor) cstring() string {
	s, ok := stringAt(c.data, uint64(c.pos))
	if !ok {
		c.fail()
		return ""
	}
	c.pos += len(s) + 1
	return s
}

// stringAt returns the string that starts at off in a string section. One that
// does not end within maxString is none.
func stringAt(section string, off uint64) (string, bool) {
	if off >= uint64(len(section)) {
		return "", false
	}
	s := section[off:min(off+maxString, uint64(len(section)))]
	n := strings.IndexByte(s, 0)
	if n < 0 {
		return "", false
	}
	return s[:n], true
}

// unitLength reads the length that heads units and line tables, and whether it
// is in the 64-bit format.
func (c *cursor) unitLength() (n uint64, wide bool) {
	n = uint64(c.u32())
	switch {
	case n == 0xffffffff:
		return c.u64(), true
	case n >= 0xfffffff0:
		c.fail()
	}
	return n, false
}
