package image

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// coreFile is an ELF core to be written.
type coreFile struct {
	wide    bool
	order   binary.AppendByteOrder // nil: little-endian
	machine elf.Machine
	notes   []byte
	loads   []chunk
	xnum    bool // the number of program headers where large ones go
}

type chunk struct {
	addr, physical uint64
	flags          elf.ProgFlag
	data           []byte
	undumped       uint64
}

func (c *coreFile) byteOrder() binary.AppendByteOrder {
	if c.order == nil {
		return binary.LittleEndian
	}
	return c.order
}

func (c *coreFile) word(b []byte, v uint64) []byte {
	if c.wide {
		return c.byteOrder().AppendUint64(b, v)
	}
	return c.byteOrder().AppendUint32(b, uint32(v))
}

func (c *coreFile) encode() []byte {
	o := c.byteOrder()
	class, data := elf.ELFCLASS32, elf.ELFDATA2LSB
	size, entry, section := 52, 32, 40
	if c.wide {
		class, size, entry, section = elf.ELFCLASS64, 64, 56, 64
	}
	if o.String() == binary.BigEndian.String() {
		data = elf.ELFDATA2MSB
	}
	count := len(c.loads) + 1
	b := append([]byte(elf.ELFMAG), byte(class), byte(data), 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = o.AppendUint16(b, uint16(elf.ET_CORE))
	b = o.AppendUint16(b, uint16(c.machine))
	b = o.AppendUint32(b, 1)
	b = c.word(b, 0)
	start := size
	sections := 0
	if c.xnum {
		sections, start = size, size+section
	}
	b = c.word(b, uint64(start))
	b = c.word(b, uint64(sections))
	b = o.AppendUint32(b, 0)
	b = o.AppendUint16(b, uint16(size))
	b = o.AppendUint16(b, uint16(entry))
	if c.xnum {
		b = o.AppendUint16(b, 0xffff)
	} else {
		b = o.AppendUint16(b, uint16(count))
	}
	b = o.AppendUint16(b, uint16(section))
	b = o.AppendUint16(b, uint16(sections/size))
	b = o.AppendUint16(b, 0)
	if c.xnum {
		s := make([]byte, section)
		at := 28
		if c.wide {
			at = 44
		}
		o.AppendUint32(s[:at], uint32(count)) // writes to s
		b = append(b, s...)
	}
	off := uint64(start + count*entry)
	header := func(kind elf.ProgType, l chunk, memSize uint64) {
		b = o.AppendUint32(b, uint32(kind))
		if c.wide {
			b = o.AppendUint32(b, uint32(l.flags))
		}
		for _, v := range []uint64{off, l.addr, l.physical, uint64(len(l.data)), memSize} {
			b = c.word(b, v)
		}
		if !c.wide {
			b = o.AppendUint32(b, uint32(l.flags))
		}
		b = c.word(b, 1)
		off += uint64(len(l.data))
	}
	header(elf.PT_NOTE, chunk{data: c.notes}, 0)
	for _, l := range c.loads {
		header(elf.PT_LOAD, l, uint64(len(l.data))+l.undumped)
	}
	b = append(b, c.notes...)
	for _, l := range c.loads {
		b = append(b, l.data...)
	}
	return b
}

// note adds a note.
func (c *coreFile) note(name string, kind uint32, content []byte) {
	o := c.byteOrder()
	b := o.AppendUint32(c.notes, uint32(len(name)+1))
	b = o.AppendUint32(b, uint32(len(content)))
	b = o.AppendUint32(b, kind)
	pad := func() {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	b = append(append(b, name...), 0)
	pad()
	b = append(b, content...)
	pad()
	c.notes = b
}

// thread adds a thread's registers.
func (c *coreFile) thread(id int, regs []uint64) {
	head, pid := 72, 24
	if c.wide {
		head, pid = 112, 32
	}
	b := make([]byte, head)
	c.byteOrder().AppendUint32(b[:pid], uint32(id)) // writes to b
	for _, r := range regs {
		b = c.word(b, r)
	}
	c.note("CORE", ntPrstatus, c.word(b, 1))
}

// files adds mapped files.
func (c *coreFile) files(page uint64, all ...heap.Mapping) {
	b := c.word(c.word(nil, uint64(len(all))), page)
	for _, m := range all {
		b = c.word(c.word(c.word(b, uint64(m.Start)), uint64(m.Limit)), m.Offset/page)
	}
	for _, m := range all {
		b = append(append(b, m.File...), 0)
	}
	c.note("CORE", ntFile, b)
}

// hexRecord returns a record of Intel HEX.
func hexRecord(kind byte, addr uint16, data ...byte) string {
	b := append([]byte{byte(len(data)), byte(addr >> 8), byte(addr), kind}, data...)
	var sum byte
	for _, c := range b {
		sum += c
	}
	return fmt.Sprintf(":%X%02X\n", b, -sum)
}

// intelHex writes segments with linear addresses, width bytes a record.
func intelHex(segments []Segment, width int) []byte {
	var b bytes.Buffer
	upper := -1
	for _, s := range segments {
		for addr, rest := uint64(s.Addr), s.Bytes; len(rest) > 0; {
			if u := int(addr >> 16); u != upper {
				b.WriteString(hexRecord(hexUpper, 0, byte(u>>8), byte(u)))
				upper = u
			}
			n := min(width, len(rest), int(0x10000-addr&0xffff))
			b.WriteString(hexRecord(hexData, uint16(addr), rest[:n]...))
			addr, rest = addr+uint64(n), rest[n:]
		}
	}
	b.WriteString(hexRecord(hexEnd, 0))
	return b.Bytes()
}

// sRecord returns an S-record.
func sRecord(kind byte, addr uint64, data ...byte) string {
	var b []byte
	for i := addressSizes[kind] - 1; i >= 0; i-- {
		b = append(b, byte(addr>>(8*i)))
	}
	b = append(b, data...)
	b = append([]byte{byte(len(b) + 1)}, b...)
	var sum byte
	for _, c := range b {
		sum += c
	}
	return fmt.Sprintf("S%d%X%02X\n", kind, b, ^sum)
}

// sRecords writes segments with 32-bit addresses, width bytes a record.
func sRecords(segments []Segment, width int) []byte {
	var b bytes.Buffer
	b.WriteString(sRecord(0, 0, []byte("test")...))
	n := uint64(0)
	for _, s := range segments {
		for addr, rest := uint64(s.Addr), s.Bytes; len(rest) > 0; n++ {
			k := min(width, len(rest))
			b.WriteString(sRecord(3, addr, rest[:k]...))
			addr, rest = addr+uint64(k), rest[k:]
		}
	}
	if n < 1<<16 {
		b.WriteString(sRecord(5, n))
	}
	b.WriteString(sRecord(7, 0))
	return b.Bytes()
}

// packed returns b as gzip packs it.
func packed(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b) // to a buffer: it does not fail
	z.Close()
	return out.Bytes()
}
